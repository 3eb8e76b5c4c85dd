/* memory.h - how much memory the system lets this process have. */
#ifndef KR_MAIN_MEMORY_H
#define KR_MAIN_MEMORY_H

#include <stdint.h>

/* Who goes over the limit of its control group is killed, whatever it checks first.
 * The least of what there is: memory, and the limits of the control groups that `groups`
 * (/proc/self/cgroup) names, from ours up, below `mount` (/sys/fs/cgroup), of version 1 or 2. What
 * is not there does not limit. */
uint64_t memory_limit(const char *groups, const char *mount);

#endif

#include "main/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { NOTIFY_WAIT_S = 1 };

static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (!path || !path[0] || strlen(path) >= sizeof a.sun_path)
		return;
	memcpy(a.sun_path, path, strlen(path));
	if (path[0] == '@')
		a.sun_path[0] = 0; /* an abstract name */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* A manager that does not read, or no more, must not stop the control thread. */
	struct timeval most = {.tv_sec = NOTIFY_WAIT_S};
	(void)!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
	socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&a, n);
	(void)sent;
	close(fd);
}

void notify_ready(void)
{
	notify("READY=1");
}

/* The time lets systemd tell this reload from one that it did not ask for. */
void notify_reloading(void)
{
	char text[64];
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
	        (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	notify(text);
}

void notify_stopping(void)
{
	notify("STOPPING=1");
}

/* kubeconfig.h - writes the kubeconfig that leads to the clusters. */
#ifndef KR_HOST_KUBECONFIG_H
#define KR_HOST_KUBECONFIG_H

#include "host/options.h"
#include "host/tls.h"
#include "model/model_server.h"

/* One context per cluster, named as the cluster; the first is current. Written beside the file,
 * then renamed. False: a message was printed. */
bool kubeconfig_write(const struct options *o, const struct model_server *s,
        const struct tls_server *t, uint16_t port);

#endif

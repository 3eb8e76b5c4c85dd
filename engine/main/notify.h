/* notify.h - tells systemd that we are ready or stopping (sd_notify(3)): one datagram to
 * $NOTIFY_SOCKET, nothing without it. */
#ifndef KR_MAIN_NOTIFY_H
#define KR_MAIN_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);
/* A reload has begun; notify_ready ends it (Type=notify-reload). */
void notify_reloading(void);

#endif

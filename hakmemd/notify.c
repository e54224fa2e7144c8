/* SPDX-License-Identifier: MIT */
/* The service manager's side: see notify.h. */
#include <config.h>

#include "hakmemd/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "hakmemd/log.h"

int notify_sockets(struct notify_sockets *ret_sockets)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	*ret_sockets = (struct notify_sockets){-1, -1, -1};
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (!strcmp(names[i], "client") && sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0)
			ret_sockets->client = fd;
		else if (!strcmp(names[i], "control") && sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0)
			ret_sockets->control = fd;
		else if (!strcmp(names[i], "metrics") && sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0)
			ret_sockets->metrics = fd;
		else {
			log_warning("a socket named \"%s\" came along and is of no use here: closed", names[i]);
			close(fd);
		}
		free(names[i]);
	}
	free(names);
	return n < 0 ? n : 0;
}

static void notify_watchdog(void *data)
{
	struct notify *notify = data;

	sd_notify(0, "WATCHDOG=1");
	loop_timer_set(notify->watchdog, notify->watchdog_nsec);
}

int notify_init(struct notify *notify, struct loop *loop)
{
	uint64_t usec;
	int r;

	*notify = (struct notify){0};
	if (sd_watchdog_enabled(0, &usec) <= 0)
		return 0;
	notify->watchdog_nsec = usec * NSEC_PER_USEC / 2;
	r = loop_timer_new(loop, notify_watchdog, notify, &notify->watchdog);
	if (r >= 0)
		notify_watchdog(notify);
	return r;
}

void notify_deinit(struct notify *notify)
{
	loop_timer_free(notify->watchdog);
	notify->watchdog = NULL;
}

void notify_ready(const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_status(const char *format, ...)
{
	char status[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(status, sizeof status, format, arguments);
	va_end(arguments);
	sd_notifyf(0, "STATUS=%s", status);
}

void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, util_now_nsec() / NSEC_PER_USEC);
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

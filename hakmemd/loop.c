/* SPDX-License-Identifier: MIT */
/* The event loop, on libevent: see loop.h. */
#include <config.h>

#include "hakmemd/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/epoll.h>

#include "hakmemd/util.h"

#define LOOP_SET_BATCH 64 /* members served before others get their turn */

struct loop {
	struct event_base *base;
};

struct loop_io {
	struct event *event;
	struct loop *loop;
	loop_io_fn *fn;
	void *data;
	int fd;
	unsigned what;
};

/* An epoll of its own, which is one descriptor to libevent. */
struct loop_set {
	struct loop_io *io;
	int fd;
	loop_fn *fn;
	struct epoll_event batch[LOOP_SET_BATCH]; /* being served; data.ptr NULL = left meanwhile */
	int n_batch;
};

struct loop_timer {
	struct event *event;
	loop_fn *fn;
	void *data;
};

struct loop_signal {
	struct event *event;
	loop_fn *fn;
	void *data;
};

int loop_new(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof *loop);
	struct event_config *config = event_config_new();

	if (loop && config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
		event_config_require_features(config, EV_FEATURE_ET) == 0)
		loop->base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	if (!loop || !loop->base) {
		free(loop);
		return -ENOMEM;
	}
	*ret_loop = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	event_base_free(loop->base);
	free(loop);
}

int loop_run(struct loop *loop)
{
	return event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0 ? -EIO : 0;
}

void loop_stop(struct loop *loop)
{
	event_base_loopbreak(loop->base);
}

static void loop_io_call(evutil_socket_t fd, short what, void *data)
{
	struct loop_io *io = data;

	io->fn(fd, (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u), io->data);
}

static short loop_flags(unsigned what)
{
	return (short)((what & LOOP_READ ? EV_READ : 0) | (what & LOOP_WRITE ? EV_WRITE : 0) |
		(what & LOOP_EDGE ? EV_ET : 0) | EV_PERSIST);
}

int loop_io_new(struct loop *loop, int fd, unsigned what, loop_io_fn *fn, void *data, struct loop_io **ret_io)
{
	struct loop_io *io = calloc(1, sizeof *io);

	if (!io)
		return -ENOMEM;
	*io = (struct loop_io){.loop = loop, .fn = fn, .data = data, .fd = fd, .what = what};
	io->event = event_new(loop->base, fd, loop_flags(what), loop_io_call, io);
	if (!io->event || event_add(io->event, NULL) < 0) {
		loop_io_free(io);
		return -EIO;
	}
	*ret_io = io;
	return 0;
}

int loop_io_set(struct loop_io *io, unsigned what)
{
	if (what == io->what)
		return 0;
	event_del(io->event);
	io->what = what;
	if (!what)
		return 0;
	if (event_assign(io->event, io->loop->base, io->fd, loop_flags(what), loop_io_call, io) < 0)
		return -EIO;
	return event_add(io->event, NULL) < 0 ? -EIO : 0;
}

void loop_io_free(struct loop_io *io)
{
	if (!io)
		return;
	if (io->event)
		event_free(io->event);
	free(io);
}

static void loop_set_ready(int fd, unsigned what, void *data)
{
	struct loop_set *set = data;

	(void)what;
	set->n_batch = epoll_wait(fd, set->batch, LOOP_SET_BATCH, 0);
	for (int i = 0; i < set->n_batch; i++)
		if (set->batch[i].data.ptr)
			set->fn(set->batch[i].data.ptr);
	set->n_batch = 0;
}

int loop_set_new(struct loop *loop, loop_fn *fn, struct loop_set **ret_set)
{
	struct loop_set *set = calloc(1, sizeof *set);
	int r;

	if (!set)
		return -ENOMEM;
	set->fn = fn;
	set->fd = epoll_create1(EPOLL_CLOEXEC);
	r = set->fd < 0 ? -errno : loop_io_new(loop, set->fd, LOOP_READ, loop_set_ready, set, &set->io);
	if (r < 0)
		loop_set_free(set);
	else
		*ret_set = set;
	return r;
}

void loop_set_free(struct loop_set *set)
{
	if (!set)
		return;
	loop_io_free(set->io);
	util_close(&set->fd);
	free(set);
}

int loop_set_add(struct loop_set *set, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = data}};

	return epoll_ctl(set->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void loop_set_remove(struct loop_set *set, int fd, const void *data)
{
	(void)epoll_ctl(set->fd, EPOLL_CTL_DEL, fd, NULL);
	for (int i = 0; i < set->n_batch; i++)
		if (set->batch[i].data.ptr == data)
			set->batch[i].data.ptr = NULL;
}

static void loop_timer_call(evutil_socket_t fd, short what, void *data)
{
	struct loop_timer *timer = data;

	(void)fd;
	(void)what;
	timer->fn(timer->data);
}

int loop_timer_new(struct loop *loop, loop_fn *fn, void *data, struct loop_timer **ret_timer)
{
	struct loop_timer *timer = calloc(1, sizeof *timer);

	if (!timer)
		return -ENOMEM;
	*timer = (struct loop_timer){.fn = fn, .data = data};
	timer->event = event_new(loop->base, -1, 0, loop_timer_call, timer);
	if (!timer->event) {
		free(timer);
		return -ENOMEM;
	}
	*ret_timer = timer;
	return 0;
}

int loop_timer_set(struct loop_timer *timer, uint64_t nsec)
{
	struct timeval tv = {
		.tv_sec = (time_t)(nsec / NSEC_PER_SEC),
		.tv_usec = (suseconds_t)(nsec % NSEC_PER_SEC / NSEC_PER_USEC),
	};

	return event_add(timer->event, &tv) < 0 ? -EIO : 0;
}

void loop_timer_stop(struct loop_timer *timer)
{
	event_del(timer->event);
}

void loop_timer_free(struct loop_timer *timer)
{
	if (!timer)
		return;
	event_free(timer->event);
	free(timer);
}

static void loop_signal_call(evutil_socket_t fd, short what, void *data)
{
	struct loop_signal *signal = data;

	(void)fd;
	(void)what;
	signal->fn(signal->data);
}

int loop_signal_new(struct loop *loop, int signal, loop_fn *fn, void *data, struct loop_signal **ret_signal)
{
	struct loop_signal *watch = calloc(1, sizeof *watch);

	if (!watch)
		return -ENOMEM;
	*watch = (struct loop_signal){.fn = fn, .data = data};
	watch->event = evsignal_new(loop->base, signal, loop_signal_call, watch);
	if (!watch->event || event_add(watch->event, NULL) < 0) {
		loop_signal_free(watch);
		return -EIO;
	}
	*ret_signal = watch;
	return 0;
}

void loop_signal_free(struct loop_signal *signal)
{
	if (!signal)
		return;
	if (signal->event)
		event_free(signal->event);
	free(signal);
}

/* SPDX-License-Identifier: MIT */
/*
 * The event loop: descriptors, timers and signals.  loop.c is the only file that names libevent.
 *
 * Callbacks run one at a time in the thread of loop_run().  A callback may free its own watch.
 */
#ifndef HAKMEMD_LOOP_H
#define HAKMEMD_LOOP_H

#include <stdint.h>

struct loop;
struct loop_io;
struct loop_set;
struct loop_timer;
struct loop_signal;

enum {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_EDGE = 4, /* once per change, not for as long as it lasts */
};

typedef void loop_io_fn(int fd, unsigned what, void *data);
typedef void loop_fn(void *data);

int loop_new(struct loop **ret_loop);
void loop_free(struct loop *loop);
int loop_run(struct loop *loop); /* until loop_stop() */
void loop_stop(struct loop *loop);

int loop_io_new(struct loop *loop, int fd, unsigned what, loop_io_fn *fn, void *data, struct loop_io **ret_io);
int loop_io_set(struct loop_io *io, unsigned what); /* 0 = rest */
void loop_io_free(struct loop_io *io);              /* NULL allowed; does not close fd */

/*
 * Many descriptors that are only ever read, for which one watch each would cost more than all else that is known of
 * them: `fn` is called with the `data` of each that is ready.
 */
int loop_set_new(struct loop *loop, loop_fn *fn, struct loop_set **ret_set);
void loop_set_free(struct loop_set *set); /* NULL allowed; after its members have left */
int loop_set_add(struct loop_set *set, int fd, void *data);
void loop_set_remove(struct loop_set *set, int fd, const void *data); /* before fd is closed */

int loop_timer_new(struct loop *loop, loop_fn *fn, void *data, struct loop_timer **ret_timer);
int loop_timer_set(struct loop_timer *timer, uint64_t nsec); /* once, from now on */
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer);

int loop_signal_new(struct loop *loop, int signal, loop_fn *fn, void *data, struct loop_signal **ret_signal);
void loop_signal_free(struct loop_signal *signal);

#endif

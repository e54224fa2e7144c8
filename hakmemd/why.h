/* SPDX-License-Identifier: MIT */
/*
 * Why a process was asked to flush, and how deep: few bytes for each process, made into words only where somebody
 * reads them.
 */
#ifndef HAKMEMD_WHY_H
#define HAKMEMD_WHY_H

#include <stddef.h>
#include <stdint.h>

#include "hakmemd/policy.h"

#define WHY_WORDS_MAX 112

struct config;
struct registry;

struct why {
	uint64_t who;             /* request: the uid; idle: ms that it was quiet, 0 = threads; pressure: id of the domain */
	uint32_t some_usec;       /* pressure: stalled within the window, */
	uint16_t window_msec;     /* which is that of level low; 10,000 at most */
	int8_t headroom;          /* percent; -1 = unknown */
	unsigned reason : 4;      /* enum hkp_reason */
	unsigned pressure : 2;    /* enum hkp_pressure */
	unsigned level : 2;       /* flush level that was asked for */
};

_Static_assert(sizeof(struct why) == 16, "three for each of thousands of processes");

struct why why_request(uint32_t uid);
struct why why_advice(const struct policy_advice *advice, const struct config *config, uint64_t now_nsec);

/* "by uid 0", "quiet 30.1 s", "medium some=210us/1000ms headroom=8% /a.slice/b.service". */
void why_words(const struct why *why, const struct registry *registry, char *ret_words, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the files of the policy share among themselves: see policy.h.
 */
#ifndef HAKMEMD_POLICY_PARTS_H
#define HAKMEMD_POLICY_PARTS_H

#include "hakmemd/policy.h"

#define POLICY_HEADROOM_HOLD 1.2 /* headroom leaves a level at 1.2 x its entry value */
#define POLICY_PROACTIVE_BYTES (UINT64_C(64) << 10) /* what is worth asking for proactively */
#define POLICY_PROACTIVE_SHARE 100 /* of the time it takes this many times as much passes until the next */

/* policy_level.c: take the sample of this step, and move the level. */
void policy_level_update(const struct policy_config *config, struct policy_domain *domain, uint64_t now_nsec);

/* How soon headroom should be looked at again; call before policy_level_update().  UINT64_MAX = any time. */
uint64_t policy_level_look(const struct policy_config *config, struct policy_domain *domain, uint64_t now_nsec);

/* True where a cgroup's limit is near enough that who could give must be known. */
bool policy_level_near(const struct policy_domain *domain);

/* policy_client.c: the host around a client; NULL where it is nowhere (any more). */
struct policy_domain *policy_host(const struct policy_client *client);

/* policy_client.c: judge the latest flush, and see whether the client is idle. */
void policy_client_update(const struct policy_config *config, struct policy_client *client, uint64_t now_nsec);

/* True while the client is to be left alone at that flush level. */
bool policy_held_off(const struct policy_client *client, uint64_t now_nsec, unsigned level);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The registry: all clients, and the domains they are in.
 *
 * A domain is a cgroup2 cgroup that holds a registered process, a limited ancestor of one, or the host.  A
 * domain exists while it is used; the host always, but it watches nothing while there are no clients.
 *
 * Invariants: client->index is its place in `clients`; the arrays handed to the policy are as long as
 * `capacity`, grown when a client comes, so that nothing is allocated while memory is short.
 */
#ifndef HAKMEMD_REGISTRY_H
#define HAKMEMD_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "hakmemd/cgroup.h"
#include "hakmemd/client.h"
#include "hakmemd/events.h"
#include "hakmemd/policy.h"
#include "hakmemd/psi.h"

struct domain {
	struct policy_domain policy; /* first: domain_of_policy() */
	struct daemon *daemon;
	size_t index;                /* in the registry */
	uint64_t id;                 /* of the cgroup; 0 = the host */
	unsigned n_users;            /* clients in it, and domains below it */
	unsigned n_clients;          /* clients in it */
	struct psi_trigger trigger;
	struct events_watch events;  /* memory.events */
	bool gone;                   /* the cgroup was removed: its clients are moved in the next step */
	uint64_t read_nsec;          /* pressure was last read */
	uint64_t limits_nsec;        /* limits above it were last read */
	uint64_t hot_until_nsec;     /* the trigger fired lately: look closely */
	char path[];                 /* of the cgroup; "host" for the host */
};

static inline struct domain *domain_of_policy(struct policy_domain *policy)
{
	return (struct domain *)policy;
}

struct registry_user {
	uid_t uid;
	size_t n_clients;
};

struct registry {
	struct client **clients;
	struct policy_client **views;  /* the same, for the policy */
	struct policy_advice *advice;  /* scratch of a step */
	size_t n_clients;
	size_t n_ready;
	size_t capacity;
	struct policy_domain **domains;
	size_t n_domains;
	size_t domains_capacity;
	struct domain *host;
	struct registry_user *users;   /* uids with at least one client */
	size_t n_users;
	size_t users_capacity;
	uint64_t next_id;
	size_t n_gone;                 /* domains whose cgroup was removed and that still hold clients */
	size_t next_check;             /* client whose cgroup is looked at next */
	size_t next_limits;            /* domain whose limits above are looked at next */
	bool makeshift;                /* the latest look for a domain did not come to the true one */
	struct cgroup_roots roots;
};

int registry_init(struct registry *registry, struct daemon *daemon);
void registry_deinit(struct registry *registry);

/* Enter a connection.  0, or -EDQUOT when its user, or -EUSERS when everybody together, has too many. */
int registry_add(struct registry *registry, struct client *client, size_t max, size_t max_per_uid);
void registry_remove(struct registry *registry, struct client *client); /* does not free it */

/* Put a client into the domain of the cgroup it is in now; true where that is another than before. */
bool registry_place(struct registry *registry, struct client *client);

/* The configuration has changed: who is excluded? */
void registry_exclude(struct registry *registry);

/* Look after some clients and domains each time: processes migrate, and limits are set and lifted. */
void registry_check_some(struct registry *registry);

/* The domain of a cgroup, 0 = the host; NULL where there is none (any more). */
const struct domain *registry_domain_of_id(const struct registry *registry, uint64_t id);

struct client *registry_find_pid(const struct registry *registry, pid_t pid);
struct client *registry_find_id(const struct registry *registry, uint64_t id);
size_t registry_count_uid(const struct registry *registry, uid_t uid);

/* Path of a domain's pressure file. */
void registry_pressure_path(const struct registry *registry, const struct domain *domain, char *ret_path,
	size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* The registry of clients and domains: see registry.h. */
#include <config.h>

#include "hakmemd/registry.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "hakmemd/daemon.h"
#include "hakmemd/log.h"
#include "hakmemd/util.h"

#define REGISTRY_CHECKS      64 /* clients whose cgroup is looked at per step, and domains whose limits above are */
#define REGISTRY_LIMITS_NSEC (4 * NSEC_PER_SEC) /* but no sooner again; below the slowest steps */

/* ---- domains ---- */

void registry_pressure_path(const struct registry *registry, const struct domain *domain, char *ret_path,
	size_t size)
{
	if (domain->policy.host)
		snprintf(ret_path, size, "%s/pressure/memory", domain->daemon->config.proc_root);
	else
		snprintf(ret_path, size, "%s%s/memory.pressure", registry->roots.unified,
			strcmp(domain->path, "/") ? domain->path : "");
}

static void registry_pressure_event(enum psi_event event, void *data)
{
	struct domain *domain = data;

	if (event == PSI_GONE) {
		domain->gone = true;
		domain->daemon->registry.n_gone++;
		log_info("cgroup %s was removed", domain->path);
	} else {
		domain->policy.triggered = true;
		domain->hot_until_nsec = util_now_nsec() + 10 * NSEC_PER_SEC;
	}
	controller_wake(&domain->daemon->controller);
}

static void registry_memory_event(void *data)
{
	struct domain *domain = data;

	controller_wake(&domain->daemon->controller);
}

/* Without stall time there is no pressure of the host; that must not look like calm. */
static void registry_complain_blind(const char *path)
{
	struct psi_totals totals;
	int r = psi_read(path, &totals);

	if (r < 0)
		log_warning("%s: %s: is pressure stall information off (psi=1 on the kernel's command line turns it on)? "
			    "Only limits of cgroups and idleness count now",
			path, strerror(-r));
}

static void registry_watch(struct registry *registry, struct domain *domain)
{
	struct daemon *daemon = domain->daemon;
	char path[CGROUP_PATH_MAX + CGROUP_ROOT_MAX + 32];
	int r;

	registry_pressure_path(registry, domain, path, sizeof path);
	r = psi_arm(&domain->trigger, daemon->loop, path, &daemon->config.policy.enter[0],
		registry_pressure_event, domain);
	if (domain->policy.host) {
		registry_complain_blind(path);
		return;
	}
	if (r < 0)
		log_debug("no pressure trigger on %s (%s): polling", path, strerror(-r));
	snprintf(path, sizeof path, "%s%s/memory.events", registry->roots.unified, domain->path);
	r = events_arm(&domain->events, daemon->loop, path, registry_memory_event, domain);
	if (r < 0)
		log_debug("no events from %s (%s)", path, strerror(-r));
}

static struct domain *registry_new_domain(struct registry *registry, struct daemon *daemon, const char *path)
{
	struct domain *domain;
	struct policy_domain **grown;

	if (registry->n_domains == registry->domains_capacity) {
		size_t capacity = registry->domains_capacity * 2 + 8;

		grown = reallocarray(registry->domains, capacity, sizeof *grown);
		if (!grown)
			return NULL;
		registry->domains = grown;
		registry->domains_capacity = capacity;
	}
	domain = calloc(1, sizeof *domain + strlen(path) + 1);
	if (!domain)
		return NULL;
	strcpy(domain->path, path);
	domain->daemon = daemon;
	domain->trigger.fd = domain->events.fd = -1;
	policy_domain_init(&domain->policy, false);
	domain->index = registry->n_domains;
	registry->domains[registry->n_domains++] = &domain->policy;
	return domain;
}

static void registry_free_domain(struct registry *registry, struct domain *domain)
{
	struct policy_domain *last = registry->domains[--registry->n_domains];

	registry->n_gone -= domain->gone;
	registry->domains[domain->index] = last;
	domain_of_policy(last)->index = domain->index;
	psi_disarm(&domain->trigger);
	events_disarm(&domain->events);
	free(domain);
}

static void registry_use(struct registry *registry, struct domain *domain)
{
	if (domain->n_users++ == 0)
		registry_watch(registry, domain);
}

static void registry_unuse(struct registry *registry, struct domain *domain)
{
	struct domain *parent = domain->policy.parent ? domain_of_policy(domain->policy.parent) : NULL;

	if (--domain->n_users)
		return;
	if (domain->policy.host) {
		psi_disarm(&domain->trigger);
		policy_domain_init(&domain->policy, true);
		domain->hot_until_nsec = 0;
		return;
	}
	registry_free_domain(registry, domain);
	registry_unuse(registry, parent);
}

static struct domain *registry_find_domain(const struct registry *registry, uint64_t id, const char *path)
{
	for (size_t i = 0; i < registry->n_domains; i++) {
		struct domain *domain = domain_of_policy(registry->domains[i]);

		if (domain->id == id && !domain->gone && !strcmp(domain->path, path))
			return domain;
	}
	return NULL;
}

static struct domain *registry_domain(struct registry *registry, const char *path);

/* The nearest limited cgroup above `path`, else the host. */
static struct domain *registry_parent(struct registry *registry, const char *path)
{
	char above[CGROUP_PATH_MAX];
	char *slash;

	snprintf(above, sizeof above, "%s", path);
	while ((slash = strrchr(above, '/')) && slash != above) {
		*slash = '\0';
		if (cgroup_limited(&registry->roots, above))
			return registry_domain(registry, above);
	}
	return registry->host;
}

/* The domain of a cgroup, made if need be; the host where the cgroup is the machine's root or out of sight. */
static struct domain *registry_domain(struct registry *registry, const char *path)
{
	struct domain *domain, *parent;
	uint64_t id;

	if (!*registry->roots.unified || !strncmp(path, "/..", 3) ||
		(!strcmp(path, "/") && cgroup_root_is_host(registry->roots.unified)) ||
		cgroup_id(registry->roots.unified, path, &id) < 0)
		return registry->host;
	domain = registry_find_domain(registry, id, path);
	if (domain)
		return domain;
	parent = registry_parent(registry, path);
	domain = registry_new_domain(registry, registry->host->daemon, path);
	if (!domain) {
		registry->makeshift = true;
		return parent;
	}
	domain->id = id;
	domain->limits_nsec = util_now_nsec();
	domain->policy.parent = &parent->policy;
	registry_use(registry, parent);
	return domain;
}

/* Limits are set, and lifted, after a domain was made: its parent is then another one. */
static void registry_check_limits(struct registry *registry, struct domain *domain, uint64_t now)
{
	struct domain *before, *parent;

	if (domain->policy.host || domain->gone || now < domain->limits_nsec + REGISTRY_LIMITS_NSEC)
		return;
	domain->limits_nsec = now;
	before = domain_of_policy(domain->policy.parent);
	parent = registry_parent(registry, domain->path);
	if (parent == before)
		return;
	registry_use(registry, parent);
	domain->policy.parent = &parent->policy;
	registry_unuse(registry, before);
}

static void registry_leave(struct registry *registry, struct client *client)
{
	struct domain *domain = client->domain;

	client->domain = NULL;
	client->policy.domain = NULL;
	if (!domain)
		return;
	domain->n_clients--;
	registry_unuse(registry, domain);
}

static void registry_set_excluded(const struct registry *registry, struct client *client)
{
	client->policy.excluded = client->domain != registry->host &&
		cgroup_named(client->domain->path, client->daemon->config.exclude);
}

bool registry_place(struct registry *registry, struct client *client)
{
	struct domain *domain = registry->host, *before = client->domain;
	char path[CGROUP_PATH_MAX];

	(void)client_moved(client); /* before: a move that comes meanwhile is seen later */
	registry->makeshift = client_cgroup(client, path, sizeof path) < 0;
	if (!registry->makeshift)
		domain = registry_domain(registry, path);
	if (registry->makeshift)
		client->cgroup_id = 0; /* look again */
	if (domain == before)
		return false;
	registry_use(registry, domain);
	domain->n_clients++;
	registry_leave(registry, client);
	client->domain = domain;
	client->policy.domain = &domain->policy;
	registry_set_excluded(registry, client);
	if (client->state == CLIENT_READY)
		(void)server_welcome(&client->daemon->server, client, false); /* it asks the board about another slot now */
	return true;
}

void registry_exclude(struct registry *registry)
{
	for (size_t i = 0; i < registry->n_clients; i++)
		if (registry->clients[i]->domain)
			registry_set_excluded(registry, registry->clients[i]);
}

void registry_check_some(struct registry *registry)
{
	uint64_t now = util_now_nsec();
	struct client *client;

	for (size_t i = 0; i < REGISTRY_CHECKS && i < registry->n_clients; i++) {
		client = registry->clients[registry->next_check++ % registry->n_clients];
		if (!client_alive(client)) /* another process holds its connection: as if that had ended */
			(void)shutdown(client->fd, SHUT_RDWR);
		else if (client->state == CLIENT_READY && client_moved(client))
			registry_place(registry, client);
	}
	for (size_t i = 0; registry->n_gone && i < registry->n_clients; i++) {
		client = registry->clients[i];
		if (client->domain && client->domain->gone)
			registry_place(registry, client);
	}
	for (size_t i = 0; i < REGISTRY_CHECKS && i < registry->n_domains; i++)
		registry_check_limits(
			registry, domain_of_policy(registry->domains[registry->next_limits++ % registry->n_domains]), now);
}

/* ---- clients ---- */

static struct registry_user *registry_user(const struct registry *registry, uid_t uid)
{
	for (size_t i = 0; i < registry->n_users; i++)
		if (registry->users[i].uid == uid)
			return &registry->users[i];
	return NULL;
}

size_t registry_count_uid(const struct registry *registry, uid_t uid)
{
	const struct registry_user *user = registry_user(registry, uid);

	return user ? user->n_clients : 0;
}

static int registry_count(struct registry *registry, uid_t uid)
{
	struct registry_user *user = registry_user(registry, uid), *grown;

	if (!user && registry->n_users == registry->users_capacity) {
		grown = reallocarray(registry->users, registry->users_capacity * 2 + 8, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		registry->users = grown;
		registry->users_capacity = registry->users_capacity * 2 + 8;
	}
	if (!user) {
		user = &registry->users[registry->n_users++];
		*user = (struct registry_user){.uid = uid};
	}
	user->n_clients++;
	return 0;
}

static void registry_uncount(struct registry *registry, uid_t uid)
{
	struct registry_user *user = registry_user(registry, uid);

	if (--user->n_clients == 0)
		*user = registry->users[--registry->n_users];
}

/* One array at a time: each is at least as long as `capacity` says, whatever fails on the way. */
static int registry_grow(struct registry *registry)
{
	size_t capacity = registry->capacity * 2 + 16;
	void *grown;

	if (registry->n_clients < registry->capacity)
		return 0;
	grown = reallocarray(registry->clients, capacity, sizeof *registry->clients);
	if (!grown)
		return -ENOMEM;
	registry->clients = grown;
	grown = reallocarray(registry->views, capacity, sizeof *registry->views);
	if (!grown)
		return -ENOMEM;
	registry->views = grown;
	grown = reallocarray(registry->advice, capacity, sizeof *registry->advice);
	if (!grown)
		return -ENOMEM;
	registry->advice = grown;
	registry->capacity = capacity;
	return 0;
}

int registry_add(struct registry *registry, struct client *client, size_t max, size_t max_per_uid)
{
	int r;

	if (registry->n_clients >= max)
		return -EUSERS;
	if (client->uid != 0 && registry_count_uid(registry, client->uid) >= max_per_uid)
		return -EDQUOT;
	r = registry_grow(registry);
	if (r >= 0)
		r = registry_count(registry, client->uid);
	if (r < 0)
		return r;
	client->id = ++registry->next_id;
	client->index = registry->n_clients;
	registry->clients[registry->n_clients] = client;
	registry->views[registry->n_clients++] = &client->policy;
	return 0;
}

void registry_remove(struct registry *registry, struct client *client)
{
	struct client *last = registry->clients[--registry->n_clients];

	if (client->state == CLIENT_READY)
		registry->n_ready--;
	registry->clients[client->index] = last;
	registry->views[client->index] = &last->policy;
	last->index = client->index;
	registry_uncount(registry, client->uid);
	registry_leave(registry, client);
}

const struct domain *registry_domain_of_id(const struct registry *registry, uint64_t id)
{
	for (size_t i = 0; i < registry->n_domains; i++)
		if (domain_of_policy(registry->domains[i])->id == id)
			return domain_of_policy(registry->domains[i]);
	return NULL;
}

struct client *registry_find_pid(const struct registry *registry, pid_t pid)
{
	for (size_t i = 0; i < registry->n_clients; i++)
		if (registry->clients[i]->pid == pid && registry->clients[i]->state == CLIENT_READY)
			return registry->clients[i];
	return NULL;
}

struct client *registry_find_id(const struct registry *registry, uint64_t id)
{
	for (size_t i = 0; i < registry->n_clients; i++)
		if (registry->clients[i]->id == id)
			return registry->clients[i];
	return NULL;
}

int registry_init(struct registry *registry, struct daemon *daemon)
{
	*registry = (struct registry){0};
	if (*daemon->config.cgroup_root)
		snprintf(registry->roots.unified, sizeof registry->roots.unified, "%.255s", daemon->config.cgroup_root);
	else if (cgroup_find_roots(&registry->roots) < 0)
		log_warning("cgroup2 is not mounted: every process belongs to the host");
	registry->host = registry_new_domain(registry, daemon, "host");
	if (!registry->host)
		return -ENOMEM;
	policy_domain_init(&registry->host->policy, true);
	return 0;
}

void registry_deinit(struct registry *registry)
{
	while (registry->n_clients) {
		struct client *client = registry->clients[0];

		registry_remove(registry, client);
		client_free(client);
	}
	while (registry->n_domains)
		registry_free_domain(registry, domain_of_policy(registry->domains[0]));
	free(registry->clients);
	free(registry->views);
	free(registry->advice);
	free(registry->domains);
	free(registry->users);
	*registry = (struct registry){0};
}

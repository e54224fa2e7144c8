/* SPDX-License-Identifier: MIT */
/* The registry: quotas, lookups, removal, domains. */
#include "tests/hakmemd/unit.h"

#include <errno.h>
#include <sys/stat.h>

#include "hakmemd/daemon.h"

static const char *placed; /* the cgroup of every process; NULL = the real one */

int __real_cgroup_of_pid(pid_t pid, char *ret_path, size_t size);
int __wrap_cgroup_of_pid(pid_t pid, char *ret_path, size_t size);

int __wrap_cgroup_of_pid(pid_t pid, char *ret_path, size_t size)
{
	if (!placed)
		return __real_cgroup_of_pid(pid, ret_path, size);
	snprintf(ret_path, size, "%s", placed);
	return 0;
}

static int setup(void **state)
{
	struct daemon *daemon = calloc(1, sizeof *daemon);

	config_init(&daemon->config);
	strcpy(daemon->config.cgroup_root, "/nonexistent"); /* everybody belongs to the host */
	strcpy(daemon->config.proc_root, "/nonexistent");
	assert_int_equal(loop_new(&daemon->loop), 0);
	assert_int_equal(registry_init(&daemon->registry, daemon), 0);
	*state = daemon;
	return 0;
}

static int teardown(void **state)
{
	struct daemon *daemon = *state;

	registry_deinit(&daemon->registry);
	loop_free(daemon->loop);
	free(daemon);
	return 0;
}

static struct client *make_client(struct daemon *daemon, pid_t pid, uid_t uid)
{
	struct client *client = calloc(1, sizeof *client);

	client->daemon = daemon;
	client->fd = client->pidfd = -1;
	client->pid = pid;
	client->uid = uid;
	return client;
}

static struct client *add(struct daemon *daemon, pid_t pid, uid_t uid)
{
	struct client *client = make_client(daemon, pid, uid);

	assert_int_equal(registry_add(&daemon->registry, client, 1000, 1000), 0);
	client->state = CLIENT_READY;
	daemon->registry.n_ready++;
	registry_place(&daemon->registry, client);
	return client;
}

static void test_find_and_remove(void **state)
{
	struct daemon *daemon = *state;
	struct registry *registry = &daemon->registry;
	struct client *clients[100];

	for (int i = 0; i < 100; i++)
		clients[i] = add(daemon, 1000000 + i, 7);
	for (int i = 0; i < 100; i += 3) {
		registry_remove(registry, clients[i]);
		client_free(clients[i]);
	}
	assert_int_equal(registry->n_clients, 66);
	assert_int_equal(registry->n_ready, 66);
	for (int i = 0; i < 100; i++)
		assert_ptr_equal(registry_find_pid(registry, 1000000 + i), i % 3 ? clients[i] : NULL);
	for (size_t i = 0; i < registry->n_clients; i++) {
		assert_int_equal(registry->clients[i]->index, i);
		assert_ptr_equal(registry->views[i], &registry->clients[i]->policy);
	}
	assert_ptr_equal(registry_find_id(registry, clients[1]->id), clients[1]);
}

static void test_quota(void **state)
{
	struct daemon *daemon = *state;
	struct registry *registry = &daemon->registry;
	struct client *third = make_client(daemon, 103, 7), *root;

	add(daemon, 101, 7);
	add(daemon, 102, 7);
	assert_int_equal(registry_add(registry, third, 1000, 2), -EDQUOT);
	root = registry->clients[0];
	registry_remove(registry, root); /* one goes: room again */
	client_free(root);
	assert_int_equal(registry_count_uid(registry, 7), 1);
	assert_int_equal(registry_add(registry, third, 1000, 2), 0);
	for (int i = 0; i < 5; i++)
		add(daemon, 200 + i, 0);
	root = make_client(daemon, 300, 0);
	assert_int_equal(registry_add(registry, root, 1000, 2), 0); /* root has no quota of its own, */
	third = make_client(daemon, 302, 0);
	assert_int_equal(registry_add(registry, third, registry->n_clients, 2), -EUSERS); /* but the total binds */
	client_free(third);
}

static void test_host_rests_without_clients(void **state)
{
	struct daemon *daemon = *state;
	struct registry *registry = &daemon->registry;
	struct client *client = add(daemon, 1000001, 7);

	assert_ptr_equal(client->domain, registry->host);
	assert_int_equal(registry->host->n_users, 1);
	registry->host->policy.level = HKP_MEDIUM;
	registry_remove(registry, client);
	client_free(client);
	assert_int_equal(registry->host->n_users, 0);
	assert_int_equal(registry->host->policy.level, HKP_CALM);
}

static void put(const char *folder, const char *name, const char *text)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* The parent of the client's domain, once it is time to look at limits again. */
static const char *parent_path(struct registry *registry, const struct client *client)
{
	for (size_t i = 0; i < registry->n_domains; i++)
		domain_of_policy(registry->domains[i])->limits_nsec = 0;
	registry_check_some(registry);
	return domain_of_policy(client->domain->policy.parent)->path;
}

/* Limits are set and lifted above a process that has registered already. */
static void test_limits_above(void **state)
{
	struct daemon *daemon = *state;
	struct registry *registry = &daemon->registry;
	char above[280], own[290], command[300];
	struct client *client;

	strcpy(registry->roots.unified, "/tmp/hakmemd-registry.XXXXXX");
	assert_non_null(mkdtemp(registry->roots.unified));
	snprintf(above, sizeof above, "%s/a", registry->roots.unified);
	snprintf(own, sizeof own, "%s/b", above);
	assert_int_equal(mkdir(above, 0700), 0);
	assert_int_equal(mkdir(own, 0700), 0);
	placed = "/a/b";
	client = add(daemon, 1000001, 7);
	assert_string_equal(client->domain->path, "/a/b");
	put(above, "memory.high", "1000000\n");
	registry_check_some(registry); /* too soon */
	assert_ptr_equal(client->domain->policy.parent, &registry->host->policy);
	assert_string_equal(parent_path(registry, client), "/a");
	assert_int_equal(registry->n_domains, 3);
	assert_string_equal(parent_path(registry, client), "/a");
	assert_int_equal(domain_of_policy(client->domain->policy.parent)->n_users, 1);
	put(above, "memory.high", "max\n");
	assert_string_equal(parent_path(registry, client), "host");
	assert_int_equal(registry->n_domains, 2);
	/* The same folder as a cgroup of version 1. */
	strcpy(registry->roots.memory, registry->roots.unified);
	put(above, "memory.limit_in_bytes", "1000000\n");
	assert_string_equal(parent_path(registry, client), "/a");
	registry_remove(registry, client);
	client_free(client);
	placed = NULL;
	assert_int_equal(registry->n_domains, 1);
	assert_int_equal(registry->host->n_users, 0);
	snprintf(command, sizeof command, "rm -r %.200s", registry->roots.unified);
	assert_int_equal(system(command), 0);
}

/* Words of why a flush was asked for, whether or not the cgroup is still there. */
static void test_why(void **state)
{
	struct daemon *daemon = *state;
	struct registry *registry = &daemon->registry;
	struct client *client = add(daemon, 1000001, 7);
	struct policy_advice advice = {.client = &client->policy};
	char words[WHY_WORDS_MAX];
	struct why why = why_request(42);

	why_words(&why, registry, words, sizeof words);
	assert_string_equal(words, "by uid 42");
	client->policy.idle_since_nsec = NSEC_PER_SEC;
	why = why_advice(&advice, &daemon->config, 31 * NSEC_PER_SEC);
	why_words(&why, registry, words, sizeof words);
	assert_string_equal(words, "quiet 30.0 s");
	advice.domain = &registry->host->policy;
	registry->host->policy.level = HKP_MEDIUM;
	registry->host->policy.headroom = 0.084;
	daemon->config.policy.enter[0].window_usec = 1000000;
	why = why_advice(&advice, &daemon->config, 31 * NSEC_PER_SEC);
	why_words(&why, registry, words, sizeof words);
	assert_string_equal(words, "medium some=0us/1000ms headroom=8% host");
	why.who = 77;
	why_words(&why, registry, words, sizeof words);
	assert_string_equal(words, "medium some=0us/1000ms headroom=8% cgroup 77, removed since");
	registry_remove(registry, client);
	client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_find_and_remove),
		TEST(test_quota),
		TEST(test_host_rests_without_clients),
		TEST(test_limits_above),
		TEST(test_why),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}

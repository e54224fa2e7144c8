/* SPDX-License-Identifier: MIT */
/* The registry: quotas, lookups, removal, domains. */
#include "tests/hakmemd/unit.h"

#include <errno.h>

#include "hakmemd/daemon.h"

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
	client->fd = client->pidfd = client->stats_fd = -1;
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_find_and_remove),
		TEST(test_quota),
		TEST(test_host_rests_without_clients),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}

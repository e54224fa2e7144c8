/* SPDX-License-Identifier: MIT */
/*
 * Replays a record of hakmemd (--record FILE) against the policy of this build.
 *
 *   replay FILE          exit code 0 where every step gives the advice that was recorded, else 1 with the first that
 *                        does not
 *   replay --rewrite FILE   print the record with the advice of this build in place of the recorded one
 *
 * A record is signals, views and results: nothing here reads a clock or a file of the kernel's.
 */
#include <config.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hakmemd/config.h"
#include "hakmemd/policy.h"

#define MAX 512 /* domains, and clients, in one record */

struct named_domain {
	uint64_t id;
	bool seen; /* in the step at hand */
	struct policy_domain policy;
};

struct named_client {
	uint64_t id;
	bool seen;
	struct policy_client policy;
};

struct replay {
	struct config config;
	struct named_domain *domains[MAX];
	size_t n_domains;
	struct named_client *clients[MAX];
	size_t n_clients;
	struct policy_advice advice[MAX];
	size_t n_steps;
	size_t n_advice; /* of all steps */
};

static void die(const char *what)
{
	fprintf(stderr, "replay: %s\n", what);
	exit(2);
}

static uint64_t number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* ---- who there is ---- */

static struct policy_domain *domain_of(struct replay *replay, uint64_t id)
{
	struct named_domain *domain;

	for (size_t i = 0; i < replay->n_domains; i++)
		if (replay->domains[i]->id == id) {
			replay->domains[i]->seen = true;
			return &replay->domains[i]->policy;
		}
	domain = calloc(1, sizeof *domain);
	if (!domain || replay->n_domains == MAX)
		die("too many domains");
	*domain = (struct named_domain){.id = id, .seen = true};
	policy_domain_init(&domain->policy, id == 0);
	replay->domains[replay->n_domains++] = domain;
	return &domain->policy;
}

static struct policy_client *client_of(struct replay *replay, uint64_t id)
{
	struct named_client *client;

	for (size_t i = 0; i < replay->n_clients; i++)
		if (replay->clients[i]->id == id) {
			replay->clients[i]->seen = true;
			return &replay->clients[i]->policy;
		}
	client = calloc(1, sizeof *client);
	if (!client || replay->n_clients == MAX)
		die("too many clients");
	*client = (struct named_client){.id = id, .seen = true};
	policy_client_init(&client->policy, &replay->config.policy);
	replay->clients[replay->n_clients++] = client;
	return &client->policy;
}

static uint64_t id_of(const struct replay *replay, const struct policy_client *client)
{
	for (size_t i = 0; i < replay->n_clients; i++)
		if (&replay->clients[i]->policy == client)
			return replay->clients[i]->id;
	return 0;
}

/* Who is not in a step has gone, and would begin anew. */
static void forget_unseen(struct replay *replay)
{
	size_t n = 0;

	for (size_t i = 0; i < replay->n_clients; i++)
		if (replay->clients[i]->seen)
			replay->clients[n++] = replay->clients[i];
		else
			free(replay->clients[i]);
	replay->n_clients = n;
	n = 0;
	for (size_t i = 0; i < replay->n_domains; i++)
		if (replay->domains[i]->seen)
			replay->domains[n++] = replay->domains[i];
		else
			free(replay->domains[i]);
	replay->n_domains = n;
}

/* ---- one line ---- */

static void read_domain(struct replay *replay, const json_t *object)
{
	struct policy_domain *domain = domain_of(replay, number(object, "id"));
	const json_t *parent = json_object_get(object, "parent");

	domain->parent = parent ? domain_of(replay, number(object, "parent")) : NULL;
	domain->sampled = number(object, "sampled");
	domain->triggered = number(object, "triggered");
	domain->some_usec = number(object, "some");
	domain->full_usec = number(object, "full");
	domain->headroom = json_number_value(json_object_get(object, "headroom"));
	domain->limit_bytes = number(object, "limit");
	domain->protected_ = number(object, "protected");
	domain->n_reclaims = number(object, "reclaims");
	domain->n_stalls = number(object, "stalls");
	domain->n_ooms = number(object, "ooms");
	domain->n_hits = number(object, "hits");
	domain->quiet = number(object, "quiet");
}

static void read_view(struct replay *replay, const json_t *object)
{
	struct policy_client *client = client_of(replay, number(object, "id"));

	client->domain = domain_of(replay, number(object, "domain"));
	client->activity_nsec = number(object, "activity");
	client->changes = number(object, "changes");
	client->releasable_bytes = number(object, "releasable");
	client->cpu_nsec = number(object, "cpu");
	client->has_cpu = number(object, "has_cpu");
	client->taken_bytes = number(object, "taken");
	client->held_bytes = number(object, "held");
	client->hot_bytes = number(object, "hot");
	client->n_threads = (uint32_t)number(object, "threads");
	client->excluded = number(object, "excluded");
	client->busy_level = (int)json_integer_value(json_object_get(object, "busy"));
	client->seed = number(object, "seed");
}

static json_t *advice_json(const struct replay *replay, size_t n_advice)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n_advice; i++) {
		const struct policy_advice *advice = &replay->advice[i];
		uint64_t target = advice->target_bytes == UINT64_MAX ? 0 : advice->target_bytes;

		json_array_append_new(list,
			json_pack("{s:I, s:i, s:i, s:I}", "client", (json_int_t)id_of(replay, advice->client), "level",
				(int)advice->level, "reason", (int)advice->reason, "target", (json_int_t)target));
	}
	return list;
}

/* The advice of this build for a step. */
static json_t *step(struct replay *replay, const json_t *line)
{
	struct policy_domain *domains[MAX];
	struct policy_client *clients[MAX];
	struct policy_scene scene = {.domains = domains, .clients = clients, .paused = number(line, "paused")};
	const json_t *views = json_object_get(line, "clients"), *object;
	size_t i, n_advice = 0;

	for (i = 0; i < replay->n_domains; i++)
		replay->domains[i]->seen = false;
	for (i = 0; i < replay->n_clients; i++)
		replay->clients[i]->seen = !views; /* they were not looked at */
	json_array_foreach(json_object_get(line, "domains"), i, object) {
		read_domain(replay, object);
		domains[scene.n_domains++] = domain_of(replay, number(object, "id"));
	}
	json_array_foreach(views, i, object) {
		read_view(replay, object);
		clients[scene.n_clients++] = client_of(replay, number(object, "id"));
	}
	forget_unseen(replay);
	policy_step_domains(&replay->config.policy, number(line, "t"), &scene);
	if (views)
		n_advice = policy_step_clients(&replay->config.policy, number(line, "t"), &scene, replay->advice, MAX);
	replay->n_steps++;
	replay->n_advice += n_advice;
	return advice_json(replay, n_advice);
}

static void configure(struct replay *replay, const json_t *line)
{
	const char *text = json_string_value(json_object_get(line, "text"));
	FILE *file = text && *text ? fmemopen((void *)(uintptr_t)text, strlen(text), "r") : NULL;

	config_init(&replay->config);
	if (file && config_parse(file, "record", NULL, NULL, &replay->config) < 0)
		die("its configuration is not understood");
	if (file)
		fclose(file);
}

static void take_event(struct replay *replay, const char *event, const json_t *line)
{
	const struct policy_config *config = &replay->config.policy;
	struct policy_client *client = client_of(replay, number(line, "client"));
	unsigned level = (unsigned)number(line, "level");
	struct policy_outcome outcome = {.level = level,
		.claimed_bytes = number(line, "claimed"),
		.actual_bytes = number(line, "actual"),
		.usec = number(line, "usec"),
		.target_bytes = number(line, "target") ? number(line, "target") : UINT64_MAX,
		.taken_bytes = number(line, "taken"),
		.held_bytes = number(line, "held")};

	if (!strcmp(event, "sent"))
		policy_sent(config, number(line, "t"), client, level, (enum hkp_reason)number(line, "reason"));
	else if (!strcmp(event, "result"))
		policy_result(config, number(line, "t"), client, &outcome);
	else if (!strcmp(event, "timeout"))
		policy_timeout(config, number(line, "t"), client, level, (unsigned)number(line, "row"));
}

/* False where this build advises otherwise. */
static bool take_line(struct replay *replay, json_t *line, bool rewrite)
{
	const char *event = json_string_value(json_object_get(line, "event"));
	json_t *advice;
	bool same = true;

	if (!event)
		die("a line without an event");
	if (!strcmp(event, "config"))
		configure(replay, line);
	else if (strcmp(event, "step") != 0)
		take_event(replay, event, line);
	else {
		advice = step(replay, line);
		same = json_equal(advice, json_object_get(line, "advice"));
		if (!same && !rewrite) {
			printf("step %zu, t=%llu\nrecorded: ", replay->n_steps, (unsigned long long)number(line, "t"));
			json_dumpf(json_object_get(line, "advice"), stdout, JSON_COMPACT);
			printf("\nnow:      ");
			json_dumpf(advice, stdout, JSON_COMPACT);
			printf("\n");
		}
		json_object_set_new(line, "advice", advice);
	}
	if (rewrite) {
		json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17));
		printf("\n");
	}
	return same || rewrite;
}

int main(int argc, char **argv)
{
	static struct replay replay;
	bool rewrite = argc == 3 && !strcmp(argv[1], "--rewrite"), good = true;
	FILE *file = argc == 2 || rewrite ? fopen(argv[argc - 1], "r") : NULL;
	json_t *line;

	if (!file)
		die("cannot read the record; replay [--rewrite] FILE");
	config_init(&replay.config);
	while (good && (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL))) {
		good = take_line(&replay, line, rewrite);
		json_decref(line);
	}
	fclose(file);
	if (!rewrite)
		printf("%zu steps, %zu pieces of advice, %s\n", replay.n_steps, replay.n_advice,
			good ? "all as recorded" : "differing");
	return good && replay.n_steps ? 0 : 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * Replays a record of hakmemd (--record FILE) against the policy of this build.
 *
 *   replay FILE          exit code 0 where every step gives the answers that were recorded, else 1 with the first that
 *                        does not
 *   replay --rewrite FILE   print the record with the answers of this build in place of the recorded ones
 *
 * A record is signals, views and results (hakmemd/record.h): nothing here reads a clock or a file of the kernel's.
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
#include "hakmemd/record.h"
#include "hakmemd/util.h"

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
	bool rewrite;
	bool differs;
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

static void see_all(struct replay *replay, bool seen_domains, bool seen_clients)
{
	for (size_t i = 0; i < replay->n_domains; i++)
		replay->domains[i]->seen = seen_domains;
	for (size_t i = 0; i < replay->n_clients; i++)
		replay->clients[i]->seen = seen_clients;
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

/* ---- answers ---- */

static void say(const char *when, const json_t *answer)
{
	printf("%s ", when);
	if (answer)
		json_dumpf(answer, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	else
		printf("-");
	printf("\n");
}

/* What this build answers, which it takes over, goes in the place of what was recorded; 0 and empty are left out. */
static void answer(struct replay *replay, json_t *object, const char *name, json_t *now)
{
	const json_t *recorded = json_object_get(object, name);

	if (json_is_integer(now) ? !json_integer_value(now) : !json_array_size(now)) {
		json_decref(now);
		now = NULL;
	}
	if (recorded && now ? !json_equal(recorded, now) : recorded || now) {
		if (!replay->rewrite) {
			printf("step %zu, %s of %llu\n", replay->n_steps, name,
				(unsigned long long)number(object, json_object_get(object, "id") ? "id" : "t"));
			say("recorded:", recorded);
			say("now:     ", now);
		}
		replay->differs = true;
	}
	if (now)
		json_object_set_new(object, name, now);
	else
		json_object_del(object, name);
}

static void answer_number(struct replay *replay, json_t *object, const char *name, uint64_t now)
{
	answer(replay, object, name, json_integer((json_int_t)now));
}

static json_t *advice_json(const struct replay *replay, size_t n_advice)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n_advice; i++) {
		const struct policy_advice *advice = &replay->advice[i];
		json_t *one = json_pack("{s:I}", "client", (json_int_t)id_of(replay, advice->client));

		if (advice->level)
			json_object_set_new(one, "level", json_integer(advice->level));
		json_object_set_new(one, "reason", json_integer(advice->reason));
		if (advice->target_bytes != UINT64_MAX)
			json_object_set_new(one, "target", json_integer((json_int_t)advice->target_bytes));
		json_array_append_new(list, one);
	}
	return list;
}

/* ---- one line ---- */

static void read_domain(struct replay *replay, const json_t *object)
{
	struct policy_domain *domain = domain_of(replay, number(object, "id"));

	domain->parent = json_object_get(object, "parent") ? domain_of(replay, number(object, "parent")) : NULL;
	domain->headroom = json_number_value(json_object_get(object, "headroom"));
#define X(name, member) domain->member = number(object, name);
	RECORD_DOMAIN(X)
#undef X
}

/* As the controller does: what the policy wants to know it is told. */
static struct policy_client *read_view(struct replay *replay, json_t *object, uint64_t now_nsec)
{
	const struct policy_config *config = &replay->config.policy;
	struct policy_client *view = client_of(replay, number(object, "id"));
	struct policy_client told;

	view->domain = json_object_get(object, "domain") ? domain_of(replay, number(object, "domain")) : NULL;
#define X(name, member) view->member = (__typeof__(view->member))number(object, name);
	RECORD_VIEW(X)
#undef X
	view->cold_bytes = json_object_get(object, "cold") ? number(object, "cold") : UINT64_MAX;
	told = *view;
	told.releasable_bytes = number(object, "said");
	told.has_cpu = false;
	told.held_bytes = 0;
	if (!view->omit) {
		answer_number(replay, object, "wants_cpu", policy_wants_cpu(config, &told, now_nsec));
		answer_number(replay, object, "wants_held", policy_wants_held(config, &told, now_nsec));
	}
	return view;
}

static void step_clients(struct replay *replay, json_t *line, json_t *views, struct policy_scene *scene)
{
	uint64_t now = number(line, "t");
	struct policy_client *clients[MAX];
	json_t *object, *verdicts = json_array();
	size_t i, n_advice;

	json_array_foreach(views, i, object)
		clients[scene->n_clients++] = read_view(replay, object, now);
	scene->clients = clients;
	n_advice = policy_step_clients(&replay->config.policy, now, scene, replay->advice, MAX);
	replay->n_advice += n_advice;
	for (i = 0; i < scene->n_clients; i++)
		json_array_append_new(verdicts, json_string(policy_verdict_name(clients[i]->verdict)));
	answer(replay, line, "verdicts", verdicts);
	answer_number(replay, line, "waiting", scene->n_waiting);
	answer(replay, line, "advice", advice_json(replay, n_advice));
}

static void step(struct replay *replay, json_t *line)
{
	struct policy_domain *domains[MAX];
	struct policy_scene scene = {.domains = domains, .paused = number(line, "paused")};
	json_t *views = json_object_get(line, "clients"), *object, *levels = json_array();
	uint64_t now = number(line, "t");
	size_t i;

	replay->n_steps++;
	see_all(replay, false, !views); /* they stay where they were not looked at */
	json_array_foreach(json_object_get(line, "domains"), i, object) {
		read_domain(replay, object);
		domains[scene.n_domains++] = domain_of(replay, number(object, "id"));
	}
	policy_step_domains(&replay->config.policy, now, &scene);
	for (i = 0; i < scene.n_domains; i++)
		json_array_append_new(levels, json_string(policy_level_name(domains[i]->level)));
	answer(replay, line, "levels", levels);
	answer_number(replay, line, "look", scene.look_nsec == UINT64_MAX ? 0 : scene.look_nsec);
	answer_number(replay, line, "wants_clients",
		policy_wants_clients(&replay->config.policy, now, &scene, number(line, "looked")));
	if (views)
		step_clients(replay, line, views, &scene);
	forget_unseen(replay);
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
	struct policy_outcome outcome = {.level = level};

	client->seed = (uint32_t)number(line, "seed");
	if (!strcmp(event, "sent"))
		policy_sent(config, number(line, "t"), client, level, (enum hkp_reason)number(line, "reason"));
	else if (!strcmp(event, "result")) {
#define X(name, member) outcome.member = number(line, name);
		RECORD_OUTCOME(X)
#undef X
		outcome.target_bytes = outcome.target_bytes ? outcome.target_bytes : UINT64_MAX;
		policy_result(config, number(line, "t"), client, &outcome);
	} else if (!strcmp(event, "timeout"))
		policy_timeout(config, number(line, "t"), client, level, (unsigned)number(line, "row"));
	else if (!strcmp(event, "survey"))
		client->rebase = true;
	else
		die("an event that is not understood");
}

static void take_line(struct replay *replay, json_t *line)
{
	const char *event = json_string_value(json_object_get(line, "event"));

	if (!event)
		die("a line without an event");
	if (!strcmp(event, "config") || !strcmp(event, "reload"))
		configure(replay, line);
	else if (!strcmp(event, "step"))
		step(replay, line);
	else if (strcmp(event, "note") != 0)
		take_event(replay, event, line);
	if (replay->rewrite) {
		json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17));
		printf("\n");
	}
}

int main(int argc, char **argv)
{
	static struct replay replay;
	char *text = NULL;
	size_t size = 0;
	json_t *line;
	FILE *file;

	replay.rewrite = argc == 3 && !strcmp(argv[1], "--rewrite");
	file = argc == 2 || replay.rewrite ? fopen(argv[argc - 1], "r") : NULL;
	if (!file)
		die("cannot read the record; replay [--rewrite] FILE");
	config_init(&replay.config);
	while ((replay.rewrite || !replay.differs) && getline(&text, &size, file) > 0) {
		line = json_loads(text, 0, NULL);
		if (!line)
			die("a line that is no JSON");
		take_line(&replay, line);
		json_decref(line);
	}
	free(text);
	fclose(file);
	if (!replay.rewrite)
		printf("%zu steps, %zu pieces of advice, %s\n", replay.n_steps, replay.n_advice,
			replay.differs ? "differing" : "all as recorded");
	return replay.n_steps && (replay.rewrite || !replay.differs) ? 0 : 1;
}

/* SPDX-License-Identifier: MIT */
/* The record of what the policy saw and said: see record.h. */
#include <config.h>

#include "hakmemd/record.h"

#include <errno.h>
#include <inttypes.h>

#include "hakmemd/client.h"
#include "hakmemd/registry.h"
#include "hakmemd/util.h"

static void record_text(FILE *file, const char *text)
{
	putc('"', file);
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			fprintf(file, "\\%c", *text);
		else if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
			fprintf(file, "\\u%04x", (unsigned char)*text);
		else
			putc(*text, file);
	putc('"', file);
}

void record_config(struct record *record, const char *event, const char *config_path)
{
	CLEANUP_FILE FILE *config = fopen(config_path, "re");
	char text[16384];
	size_t length = config ? fread(text, 1, sizeof text - 1, config) : 0;

	if (!record->file)
		return;
	text[length] = '\0';
	fprintf(record->file, "{\"event\":\"%s\",\"text\":", event);
	record_text(record->file, text);
	fprintf(record->file, "}\n");
}

int record_open(struct record *record, const char *path, const char *config_path)
{
	record->file = fopen(path, "we");
	if (!record->file)
		return -errno;
	record_config(record, "config", config_path);
	return 0;
}

void record_close(struct record *record)
{
	if (record->file)
		fclose(record->file);
	record->file = NULL;
}

static uint64_t record_client_id(const struct policy_client *client)
{
	return ((const struct client *)client)->id;
}

static uint64_t record_domain_id(const struct policy_domain *domain)
{
	return ((const struct domain *)domain)->id;
}

/* JSON's integers end before UINT64_MAX, which means "all": 0 here. */
static uint64_t record_target(uint64_t target_bytes)
{
	return target_bytes == UINT64_MAX ? 0 : target_bytes;
}

static void record_number(FILE *file, const char *name, int64_t number)
{
	if (number)
		fprintf(file, ",\"%s\":%" PRId64, name, number);
}

/* Between the elements of a list. */
static void record_comma(FILE *file, size_t i)
{
	if (i)
		putc(',', file);
}

static void record_domain(FILE *file, const struct policy_domain *domain)
{
	fprintf(file, "{\"id\":%" PRIu64 ",\"path\":", record_domain_id(domain));
	record_text(file, ((const struct domain *)domain)->path);
	if (domain->parent)
		fprintf(file, ",\"parent\":%" PRIu64, record_domain_id(domain->parent));
	fprintf(file, ",\"headroom\":%.17g", domain->headroom);
#define X(name, member) record_number(file, name, (int64_t)domain->member);
	RECORD_DOMAIN(X)
#undef X
	putc('}', file);
}

static void record_view(FILE *file, const struct policy_client *view)
{
	const struct client *client = (const struct client *)view;

	fprintf(file, "{\"id\":%" PRIu64, client->id);
	if (view->domain)
		fprintf(file, ",\"domain\":%" PRIu64, record_domain_id(view->domain));
	record_number(file, "said", (int64_t)client->said_bytes);
#define X(name, member) record_number(file, name, (int64_t)view->member);
	RECORD_VIEW(X)
#undef X
	if (view->cold_bytes != UINT64_MAX)
		fprintf(file, ",\"cold\":%" PRIu64, view->cold_bytes);
	record_number(file, "wants_cpu", client->wants_cpu);
	record_number(file, "wants_held", client->wants_held);
	putc('}', file);
}

/* Before the step, which changes what it is told (triggered, for one). */
void record_domains(struct record *record, uint64_t now_nsec, const struct policy_scene *scene, uint64_t looked_nsec)
{
	FILE *file = record->file;

	if (!file)
		return;
	fprintf(file, "{\"event\":\"step\",\"t\":%" PRIu64, now_nsec);
	record_number(file, "looked", (int64_t)looked_nsec);
	record_number(file, "paused", scene->paused);
	fprintf(file, ",\"domains\":[");
	for (size_t i = 0; i < scene->n_domains; i++) {
		record_comma(file, i);
		record_domain(file, scene->domains[i]);
	}
	fprintf(file, "]");
}

void record_clients(struct record *record, const struct policy_scene *scene)
{
	FILE *file = record->file;

	if (!file)
		return;
	fprintf(file, ",\"clients\":[");
	for (size_t i = 0; i < scene->n_clients; i++) {
		record_comma(file, i);
		record_view(file, scene->clients[i]);
	}
	fprintf(file, "],\"wants_clients\":1");
}

static void record_verdicts(FILE *file, const struct policy_scene *scene)
{
	fprintf(file, ",\"verdicts\":[");
	for (size_t i = 0; i < scene->n_clients; i++) {
		record_comma(file, i);
		fprintf(file, "\"%s\"", policy_verdict_name(scene->clients[i]->verdict));
	}
	fprintf(file, "]");
	record_number(file, "waiting", (int64_t)scene->n_waiting);
}

static void record_advice(FILE *file, const struct policy_advice *advice, size_t n_advice)
{
	fprintf(file, ",\"advice\":[");
	for (size_t i = 0; i < n_advice; i++) {
		record_comma(file, i);
		fprintf(file, "{\"client\":%" PRIu64, record_client_id(advice[i].client));
		record_number(file, "level", advice[i].level);
		record_number(file, "reason", advice[i].reason);
		record_number(file, "target", (int64_t)record_target(advice[i].target_bytes));
		putc('}', file);
	}
	fprintf(file, "]");
}

void record_answers(struct record *record, const struct policy_scene *scene, const struct policy_advice *advice,
	size_t n_advice)
{
	FILE *file = record->file;

	if (!file)
		return;
	fprintf(file, ",\"levels\":[");
	for (size_t i = 0; i < scene->n_domains; i++) {
		record_comma(file, i);
		fprintf(file, "\"%s\"", policy_level_name(scene->domains[i]->level));
	}
	fprintf(file, "]");
	if (scene->look_nsec != UINT64_MAX)
		record_number(file, "look", (int64_t)scene->look_nsec);
	if (advice && scene->n_clients)
		record_verdicts(file, scene);
	if (n_advice)
		record_advice(file, advice, n_advice);
	fprintf(file, "}\n");
	fflush(file);
}

static void record_event(
	FILE *file, const char *event, uint64_t now_nsec, const struct policy_client *client, unsigned level)
{
	fprintf(file, "{\"event\":\"%s\",\"t\":%" PRIu64 ",\"client\":%" PRIu64, event, now_nsec, record_client_id(client));
	record_number(file, "seed", client->seed); /* an event may come before the first view */
	record_number(file, "level", level);
}

void record_survey(struct record *record, uint64_t now_nsec, const struct policy_client *client)
{
	if (!record->file)
		return;
	record_event(record->file, "survey", now_nsec, client, 0);
	fprintf(record->file, "}\n");
}

void record_sent(struct record *record, uint64_t now_nsec, const struct policy_client *client, unsigned level,
	enum hkp_reason reason)
{
	if (!record->file)
		return;
	record_event(record->file, "sent", now_nsec, client, level);
	record_number(record->file, "reason", reason);
	fprintf(record->file, "}\n");
}

void record_result(struct record *record, uint64_t now_nsec, const struct policy_client *client,
	const struct policy_outcome *outcome)
{
	struct policy_outcome plain = *outcome;

	if (!record->file)
		return;
	plain.target_bytes = record_target(outcome->target_bytes);
	record_event(record->file, "result", now_nsec, client, outcome->level);
#define X(name, member) record_number(record->file, name, (int64_t)plain.member);
	RECORD_OUTCOME(X)
#undef X
	fprintf(record->file, "}\n");
}

void record_timeout(struct record *record, uint64_t now_nsec, const struct policy_client *client, unsigned level,
	unsigned n_in_a_row)
{
	if (!record->file)
		return;
	record_event(record->file, "timeout", now_nsec, client, level);
	record_number(record->file, "row", n_in_a_row);
	fprintf(record->file, "}\n");
}

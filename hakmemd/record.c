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

int record_open(struct record *record, const char *path, const char *config_path)
{
	CLEANUP_FILE FILE *config = fopen(config_path, "re");
	char text[16384];
	size_t length = config ? fread(text, 1, sizeof text - 1, config) : 0;

	record->file = fopen(path, "we");
	if (!record->file)
		return -errno;
	text[length] = '\0';
	fprintf(record->file, "{\"event\":\"config\",\"text\":");
	record_text(record->file, text);
	fprintf(record->file, "}\n");
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

static void record_domain(FILE *file, const struct policy_domain *domain)
{
	fprintf(file, "{\"id\":%" PRIu64 ",\"path\":", record_domain_id(domain));
	record_text(file, ((const struct domain *)domain)->path);
	if (domain->parent)
		fprintf(file, ",\"parent\":%" PRIu64, record_domain_id(domain->parent));
	fprintf(file,
		",\"sampled\":%d,\"triggered\":%d,\"some\":%" PRIu64 ",\"full\":%" PRIu64 ",\"headroom\":%.17g"
		",\"limit\":%" PRIu64 ",\"protected\":%d,\"reclaims\":%" PRIu64 ",\"stalls\":%" PRIu64 ",\"ooms\":%" PRIu64
		",\"hits\":%" PRIu64 ",\"quiet\":%d}",
		domain->sampled, domain->triggered, domain->some_usec, domain->full_usec, domain->headroom,
		domain->limit_bytes, domain->protected_, domain->n_reclaims, domain->n_stalls, domain->n_ooms,
		domain->n_hits, domain->quiet);
}

static void record_view(FILE *file, const struct policy_client *client)
{
	fprintf(file,
		"{\"id\":%" PRIu64 ",\"domain\":%" PRIu64 ",\"activity\":%" PRIu64 ",\"changes\":%" PRIu64
		",\"releasable\":%" PRIu64 ",\"cpu\":%" PRIu64 ",\"has_cpu\":%d,\"taken\":%" PRIu64 ",\"held\":%" PRIu64
		",\"hot\":%" PRIu64 ",\"threads\":%" PRIu32 ",\"excluded\":%d,\"busy\":%d,\"seed\":%" PRIu32 "}",
		record_client_id(client), record_domain_id(client->domain), client->activity_nsec, client->changes,
		client->releasable_bytes, client->cpu_nsec, client->has_cpu, client->taken_bytes, client->held_bytes,
		client->hot_bytes, client->n_threads, client->excluded, client->busy_level, client->seed);
}

/* Before the step, which changes what it is told (triggered, for one). */
void record_domains(struct record *record, uint64_t now_nsec, const struct policy_scene *scene)
{
	FILE *file = record->file;

	if (!file)
		return;
	fprintf(file, "{\"event\":\"step\",\"t\":%" PRIu64 ",\"paused\":%d,\"domains\":[", now_nsec, scene->paused);
	for (size_t i = 0; i < scene->n_domains; i++) {
		if (i)
			putc(',', file);
		record_domain(file, scene->domains[i]);
	}
	fprintf(file, "]");
}

void record_clients(struct record *record, const struct policy_scene *scene)
{
	FILE *file = record->file;
	bool first = true;

	if (!file)
		return;
	fprintf(file, ",\"clients\":[");
	for (size_t i = 0; i < scene->n_clients; i++) {
		if (scene->clients[i]->omit)
			continue;
		if (!first)
			putc(',', file);
		first = false;
		record_view(file, scene->clients[i]);
	}
	fprintf(file, "]");
}

void record_advice(struct record *record, const struct policy_advice *advice, size_t n_advice)
{
	FILE *file = record->file;

	if (!file)
		return;
	fprintf(file, ",\"advice\":[");
	for (size_t i = 0; i < n_advice; i++)
		fprintf(file, "%s{\"client\":%" PRIu64 ",\"level\":%u,\"reason\":%d,\"target\":%" PRIu64 "}", i ? "," : "",
			record_client_id(advice[i].client), advice[i].level, (int)advice[i].reason,
			record_target(advice[i].target_bytes));
	fprintf(file, "]}\n");
	fflush(file);
}

static void record_event(struct record *record, const char *event, uint64_t now_nsec,
	const struct policy_client *client, unsigned level)
{
	fprintf(record->file, "{\"event\":\"%s\",\"t\":%" PRIu64 ",\"client\":%" PRIu64 ",\"level\":%u", event, now_nsec,
		record_client_id(client), level);
}

void record_sent(struct record *record, uint64_t now_nsec, const struct policy_client *client, unsigned level,
	enum hkp_reason reason)
{
	if (!record->file)
		return;
	record_event(record, "sent", now_nsec, client, level);
	fprintf(record->file, ",\"reason\":%d}\n", (int)reason);
}

void record_result(struct record *record, uint64_t now_nsec, const struct policy_client *client,
	const struct policy_outcome *outcome)
{
	if (!record->file)
		return;
	record_event(record, "result", now_nsec, client, outcome->level);
	fprintf(record->file,
		",\"claimed\":%" PRIu64 ",\"actual\":%" PRIu64 ",\"usec\":%" PRIu64 ",\"target\":%" PRIu64
		",\"taken\":%" PRIu64 ",\"held\":%" PRIu64 "}\n",
		outcome->claimed_bytes, outcome->actual_bytes, outcome->usec,
		record_target(outcome->target_bytes), outcome->taken_bytes,
		outcome->held_bytes);
}

void record_timeout(struct record *record, uint64_t now_nsec, const struct policy_client *client, unsigned level,
	unsigned n_in_a_row)
{
	if (!record->file)
		return;
	record_event(record, "timeout", now_nsec, client, level);
	fprintf(record->file, ",\"row\":%u}\n", n_in_a_row);
}

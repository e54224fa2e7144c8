/* SPDX-License-Identifier: MIT */
/*
 * A threaded cache server in small: it stays at its peak with most allocators of today.
 *
 * Why: ./quickstart needs, beside redis, a program that uses glibc's malloc from many threads.
 *
 * How: each of N_WORKERS threads owns a share of the entries.  Told to "load", it makes those that are missing;
 * told to "delete", it frees all but every 100th; then it sleeps on a condition variable, as the idle threads
 * of a service do, and nothing but its allocator could give memory back.  Nothing here calls malloc_trim().
 *
 * Use: commands on stdin, one a line: load, delete, quit.  After each it prints "loaded" or "deleted".
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	N_WORKERS = 4,
	N_ENTRIES = 250000, /* of each worker; with all loaded about 290 MiB */
	KEEP_EVERY = 100,
	VALUE_MIN = 128, /* bytes */
	VALUE_SPREAD = 256,
};

enum job { JOB_NONE, JOB_LOAD, JOB_DELETE, JOB_QUIT };

struct entry {
	unsigned key;
	unsigned value_bytes;
	char *value; /* owned */
	long hits;
};

static struct crew {
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t work;   /* job_number changed */
	pthread_cond_t done;   /* n_busy became 0 */
	enum job job;
	unsigned job_number;
	int n_busy;
} crew = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.done = PTHREAD_COND_INITIALIZER,
};

static void *must(void *p)
{
	if (!p) {
		perror("peak: malloc");
		exit(1);
	}
	return p;
}

static struct entry *entry_new(unsigned key)
{
	struct entry *entry = must(malloc(sizeof(*entry)));

	/* A multiplicative hash: sizes vary, yet are the same in every run. */
	entry->key = key;
	entry->value_bytes = VALUE_MIN + (key * 2654435761u >> 16) % VALUE_SPREAD;
	entry->value = must(malloc(entry->value_bytes));
	entry->hits = 0;
	memset(entry->value, 'v', entry->value_bytes);
	return entry;
}

static void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	free(entry->value);
	free(entry);
}

static void load(struct entry **entries)
{
	for (unsigned i = 0; i < N_ENTRIES; i++)
		if (!entries[i])
			entries[i] = entry_new(i);
}

static void delete(struct entry **entries)
{
	for (unsigned i = 0; i < N_ENTRIES; i++)
		if (i % KEEP_EVERY) {
			entry_free(entries[i]);
			entries[i] = NULL;
		}
}

static enum job wait_for_job(unsigned *number)
{
	enum job job;

	pthread_mutex_lock(&crew.mutex);
	while (crew.job_number == *number)
		pthread_cond_wait(&crew.work, &crew.mutex);
	*number = crew.job_number;
	job = crew.job;
	pthread_mutex_unlock(&crew.mutex);
	return job;
}

static void report_done(void)
{
	pthread_mutex_lock(&crew.mutex);
	if (--crew.n_busy == 0)
		pthread_cond_signal(&crew.done);
	pthread_mutex_unlock(&crew.mutex);
}

static void *worker(void *unused)
{
	struct entry **entries = must(calloc(N_ENTRIES, sizeof(*entries)));
	unsigned number = 0;
	enum job job;

	(void)unused;
	while ((job = wait_for_job(&number)) != JOB_QUIT) {
		if (job == JOB_LOAD)
			load(entries);
		else
			delete(entries);
		report_done();
	}
	for (unsigned i = 0; i < N_ENTRIES; i++)
		entry_free(entries[i]);
	free(entries);
	return NULL;
}

static void start_job(enum job job)
{
	pthread_mutex_lock(&crew.mutex);
	crew.job = job;
	crew.job_number++;
	crew.n_busy = N_WORKERS;
	pthread_cond_broadcast(&crew.work);
	while (job != JOB_QUIT && crew.n_busy > 0)
		pthread_cond_wait(&crew.done, &crew.mutex);
	pthread_mutex_unlock(&crew.mutex);
}

int main(void)
{
	static const char *const said[] = {[JOB_LOAD] = "loaded", [JOB_DELETE] = "deleted"};
	pthread_t threads[N_WORKERS];
	char line[64];

	for (int i = 0; i < N_WORKERS; i++)
		if (pthread_create(&threads[i], NULL, worker, NULL)) {
			fputs("peak: cannot start a thread\n", stderr);
			return 1;
		}
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0) {
		enum job job = strcmp(line, "load\n") == 0 ? JOB_LOAD : strcmp(line, "delete\n") == 0 ? JOB_DELETE : JOB_NONE;

		if (job == JOB_NONE) {
			fputs("peak: commands are load, delete, quit\n", stderr);
			return 2;
		}
		start_job(job);
		puts(said[job]);
		fflush(stdout);
	}
	start_job(JOB_QUIT);
	for (int i = 0; i < N_WORKERS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

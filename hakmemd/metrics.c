/* SPDX-License-Identifier: MIT */
/* Metrics for Prometheus: see metrics.h. */
#include <config.h>

#include "hakmemd/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "hakmemd/daemon.h"
#include "hakmemd/util.h"

#define METRICS_CONNECTIONS 8
#define METRICS_REQUEST     4096
#define METRICS_PATIENCE    (2 * NSEC_PER_SEC)

const uint64_t metrics_bucket_usec[METRICS_BUCKETS] = {
	100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000, 3000000};

/* ---- the text ---- */

static void metrics_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP hakmemd_%s %s\n# TYPE hakmemd_%s %s\n", name, help, name, type);
}

static void metrics_value(FILE *out, const char *name, const char *type, const char *help, double value)
{
	metrics_head(out, name, type, help);
	fprintf(out, "hakmemd_%s %.15g\n", name, value);
}

static void metrics_levels(FILE *out, const struct registry *registry)
{
	unsigned n_at[HKP_CRITICAL + 1] = {0};

	for (size_t i = 0; i < registry->n_domains; i++)
		if (!registry->domains[i]->host)
			n_at[registry->domains[i]->level]++;
	metrics_value(out, "host_level", "gauge", "Pressure of the host: 0 calm, 1 low, 2 medium, 3 critical.",
		registry->host->policy.level);
	metrics_head(out, "cgroups", "gauge", "Cgroups watched, by their level of pressure.");
	for (int level = HKP_CALM; level <= HKP_CRITICAL; level++)
		fprintf(out, "hakmemd_cgroups{level=\"%s\"} %u\n", policy_level_name((enum hkp_pressure)level), n_at[level]);
}

static void metrics_flushes(FILE *out, const struct controller_totals *totals)
{
	uint64_t n = 0;

	metrics_head(out, "flushes_total", "counter", "Flushes answered, by reason.");
	for (unsigned reason = HKP_REASON_REQUEST; reason <= HKP_REASON_PRESSURE; reason++)
		fprintf(out, "hakmemd_flushes_total{reason=\"%s\"} %" PRIu64 "\n", hkp_reason_name(reason),
			totals->n_flushes[reason]);
	metrics_head(out, "flush_seconds", "histogram", "Time that flushes took inside the processes.");
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		n += totals->n_in_bucket[i];
		fprintf(out, "hakmemd_flush_seconds_bucket{le=\"%.15g\"} %" PRIu64 "\n",
			(double)metrics_bucket_usec[i] / 1e6, n);
	}
	n += totals->n_in_bucket[METRICS_BUCKETS];
	fprintf(out, "hakmemd_flush_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", n);
	fprintf(out, "hakmemd_flush_seconds_sum %.15g\nhakmemd_flush_seconds_count %" PRIu64 "\n",
		(double)totals->usec / 1e6, n);
}

static void metrics_processes(FILE *out, const struct registry *registry)
{
	uint64_t used = 0, releasable = 0, mapped = 0, regret = 0;
	struct hkp_stats stats;

	for (size_t i = 0; i < registry->n_clients; i++) {
		const struct client *client = registry->clients[i];

		client_read_stats(client, &stats, offsetof(struct hkp_stats, classes));
		used += util_min(stats.used_bytes, UINT64_C(1) << 48); /* an address space at most */
		releasable += util_min(stats.releasable_bytes, UINT64_C(1) << 48);
		mapped += util_min(stats.mapped_bytes, UINT64_C(1) << 48);
		regret += client->policy.regret_bytes;
	}
	metrics_value(out, "clients", "gauge", "Processes registered.", (double)registry->n_ready);
	metrics_value(out, "mapped_bytes", "gauge", "Mapped by the registered processes' heaps.", (double)mapped);
	metrics_value(out, "used_bytes", "gauge", "In blocks that they hold.", (double)used);
	metrics_value(out, "releasable_bytes", "gauge", "That they could give back now.", (double)releasable);
	metrics_value(out, "regret_bytes", "gauge", "Given back and taken again soon, by processes registered now.",
		(double)regret);
}

char *metrics_text(struct daemon *daemon)
{
	const struct controller_totals *totals = &daemon->controller.totals;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	metrics_head(out, "info", "gauge", "Constant 1, with the version.");
	fprintf(out, "hakmemd_info{version=\"%s\",mode=\"%s\"} 1\n", DAEMON_VERSION,
		config_mode_name(daemon->config.mode));
	metrics_processes(out, &daemon->registry);
	metrics_levels(out, &daemon->registry);
	metrics_value(out, "psi_blinded", "gauge", "1 while the host's stall counter is not believed.",
		policy_blinded(&daemon->registry.host->policy, util_now_nsec()));
	metrics_value(out, "paused", "gauge", "1 while paused.", daemon->controller.paused);
	metrics_flushes(out, totals);
	metrics_value(out, "claimed_bytes_total", "counter", "Given back by flushes, as the processes said.",
		(double)totals->claimed_bytes);
	metrics_value(out, "returned_bytes_total", "counter", "Given back by flushes, by the kernel's account.",
		(double)totals->actual_bytes);
	metrics_value(out, "observed_total", "counter", "Flushes not sent because of Mode=observe.",
		(double)totals->n_observed);
	metrics_value(out, "timeouts_total", "counter", "Flushes not answered in time.", (double)totals->n_timeouts);
	metrics_value(out, "refused_total", "counter", "Connections over a limit.", (double)daemon->server.n_refused);
	metrics_value(out, "dropped_total", "counter", "Processes dropped for breaking the protocol.",
		(double)daemon->server.n_dropped);
	metrics_value(out, "steps_total", "counter", "Looks at signals and processes.", (double)totals->n_steps);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- the socket ---- */

struct metrics_connection {
	struct metrics *metrics;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	char request[METRICS_REQUEST];
	size_t n_request;
};

static void metrics_close(struct metrics_connection *connection)
{
	connection->metrics->n_connections--;
	loop_io_free(connection->io);
	loop_timer_free(connection->timer);
	util_close(&connection->fd);
	free(connection);
}

static void metrics_timeout(void *data)
{
	metrics_close(data);
}

/* The text is a few KiB and fits a socket's buffer: what does not is cut off, and the scraper sees it by the length. */
static void metrics_answer(struct metrics_connection *connection)
{
	CLEANUP_FREE char *text = metrics_text(connection->metrics->daemon);
	char head[160];
	int length;

	if (!text)
		return;
	length = snprintf(head, sizeof head,
		"HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %zu\r\n"
		"Connection: close\r\n\r\n",
		strlen(text));
	if (send(connection->fd, head, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) == length)
		(void)!send(connection->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void metrics_ready(int fd, unsigned what, void *data)
{
	struct metrics_connection *connection = data;
	ssize_t n = recv(fd, connection->request + connection->n_request,
		sizeof connection->request - 1 - connection->n_request, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		connection->n_request += (size_t)n;
		connection->request[connection->n_request] = '\0';
		if (!strstr(connection->request, "\r\n\r\n") && connection->n_request < sizeof connection->request - 1)
			return;
		metrics_answer(connection);
	}
	metrics_close(connection);
}

static void metrics_call(int listen_fd, unsigned what, void *data)
{
	struct metrics *metrics = data;
	struct metrics_connection *connection;
	int fd = server_accept(&metrics->daemon->server, listen_fd);

	(void)what;
	if (fd < 0)
		return;
	connection = metrics->n_connections < METRICS_CONNECTIONS ? calloc(1, sizeof *connection) : NULL;
	if (!connection) {
		close(fd);
		return;
	}
	metrics->n_connections++;
	connection->metrics = metrics;
	connection->fd = fd;
	if (loop_io_new(metrics->daemon->loop, fd, LOOP_READ, metrics_ready, connection, &connection->io) < 0 ||
		loop_timer_new(metrics->daemon->loop, metrics_timeout, connection, &connection->timer) < 0 ||
		loop_timer_set(connection->timer, METRICS_PATIENCE) < 0)
		metrics_close(connection);
}

int metrics_init(struct metrics *metrics, struct daemon *daemon, int listen_fd)
{
	*metrics = (struct metrics){.daemon = daemon, .listen_fd = listen_fd};
	return listen_fd < 0 ? 0 : loop_io_new(daemon->loop, listen_fd, LOOP_READ, metrics_call, metrics, &metrics->io);
}

void metrics_deinit(struct metrics *metrics)
{
	loop_io_free(metrics->io);
	metrics->io = NULL;
	util_close(&metrics->listen_fd);
}

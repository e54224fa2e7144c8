/* SPDX-License-Identifier: MIT */
/* The control socket: see ctl.h. */
#include <config.h>

#include "hakmemd/ctl.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "hakmemd/daemon.h"
#include "hakmemd/report.h"
#include "hakmemd/util.h"

#define CTL_REQUEST_MAX  4096 /* bytes, the NUL included */
#define CTL_PER_USER_MAX 16   /* connections; root is bound by ControlMax= alone, all others by three quarters of it */
#define CTL_PATIENCE     (10 * NSEC_PER_SEC)  /* for a request to be complete, and for an answer to be read */
#define CTL_SURVEY_NSEC  (200 * NSEC_PER_MSEC)
#define CTL_BEHIND_MAX   (1 << 20) /* bytes of events that a watcher may be behind */

struct ctl_connection {
	struct ctl *ctl;
	uint64_t id;
	int fd;
	uid_t uid;
	bool privileged;             /* may act on any process */
	struct loop_io *io;
	struct loop_timer *timer;
	char request[CTL_REQUEST_MAX];
	size_t n_request;
	char *answer;                /* being written; NULL = none */
	size_t n_answer, n_written;
	uint64_t ticket;             /* of the flush it waits for; 0 = none */
	unsigned n_surveys;          /* it waits for */
	bool surveying;
	bool watching;
	pid_t survey_pid;            /* of the process asked about; 0 = all */
	TAILQ_ENTRY(ctl_connection) list;
};

static void ctl_close(struct ctl_connection *connection)
{
	struct ctl *ctl = connection->ctl;

	TAILQ_REMOVE(&ctl->connections, connection, list);
	ctl->n_connections--;
	ctl->n_watching -= connection->watching;
	loop_io_free(connection->io);
	loop_timer_free(connection->timer);
	util_close(&connection->fd);
	free(connection->answer);
	free(connection);
}

/* ---- answers ---- */

static json_t *ctl_answer(json_t *parameters)
{
	return json_pack("{s:o}", "parameters", parameters ? parameters : json_object());
}

static json_t *ctl_error(const char *name, const char *format, ...) PRINTF(2, 3);

static json_t *ctl_error(const char *name, const char *format, ...)
{
	char message[512], full[64];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	snprintf(full, sizeof full, "io.hakmem.%s", name);
	return json_pack("{s:s, s:{s:s}}", "error", full, "parameters", "message", message);
}

/* Write what the socket takes; false where the connection is at its end. */
static bool ctl_write(struct ctl_connection *connection)
{
	ssize_t n = send(connection->fd, connection->answer + connection->n_written,
		connection->n_answer - connection->n_written, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	connection->n_written += (size_t)n;
	loop_timer_set(connection->timer, CTL_PATIENCE);
	if (connection->n_written == connection->n_answer) {
		free(connection->answer);
		connection->answer = NULL;
		connection->n_answer = connection->n_written = 0;
		loop_io_set(connection->io, LOOP_READ);
		if (connection->watching)
			loop_timer_stop(connection->timer);
	}
	return true;
}

struct ctl_dump {
	char *bytes;
	size_t n, room;
	bool failed;
};

static int ctl_dump_add(const char *bytes, size_t n, void *data)
{
	struct ctl_dump *text = data;

	if (text->room - text->n < n) {
		size_t room = util_max(2 * text->room, text->n + n + 256);
		char *grown = text->failed ? NULL : realloc(text->bytes, room);

		if (!grown) {
			text->failed = true;
			return -1;
		}
		text->bytes = grown;
		text->room = room;
	}
	memcpy(text->bytes + text->n, bytes, n);
	text->n += n;
	return 0;
}

/* `json` as a string, or NULL without memory.  json_dumps() of jansson 2.14 does not see every failure to grow, and then
 * leaves a quote out. */
static char *ctl_dump(const json_t *json)
{
	struct ctl_dump text = {0};

	if (json && json_dump_callback(json, ctl_dump_add, &text, JSON_COMPACT) == 0)
		ctl_dump_add("", 1, &text);
	else
		text.failed = true;
	if (text.failed) {
		free(text.bytes);
		text.bytes = NULL;
	}
	return text.bytes;
}

/* Takes the reference to `answer`.  The rest goes out when the socket can take it. */
static void ctl_send(struct ctl_connection *connection, json_t *answer)
{
	char *text = ctl_dump(answer);

	json_decref(answer);
	connection->answer = text;
	connection->n_answer = text ? strlen(text) + 1 : 0;
	connection->n_written = 0;
	/* On failure the socket is shut and the read side's end of file closes it, in its own callback. */
	if (!text || loop_io_set(connection->io, LOOP_READ | LOOP_WRITE) < 0)
		shutdown(connection->fd, SHUT_RDWR);
	loop_timer_set(connection->timer, CTL_PATIENCE);
}

/* One more event for a watcher.  One that does not read is cut off, not waited for. */
static void ctl_push(struct ctl_connection *connection, const char *text)
{
	size_t length = strlen(text) + 1;
	char *grown = NULL;

	if (connection->n_answer + length <= CTL_BEHIND_MAX)
		grown = realloc(connection->answer, connection->n_answer + length);
	if (!grown) {
		shutdown(connection->fd, SHUT_RDWR); /* its own callback closes it */
		return;
	}
	memcpy(grown + connection->n_answer, text, length);
	if (!connection->n_answer)
		loop_timer_set(connection->timer, CTL_PATIENCE);
	connection->answer = grown;
	connection->n_answer += length;
	if (loop_io_set(connection->io, LOOP_READ | LOOP_WRITE) < 0)
		shutdown(connection->fd, SHUT_RDWR);
}

void ctl_event(struct ctl *ctl, const struct client *client, json_t *event)
{
	struct ctl_connection *connection;
	char *text = NULL;

	TAILQ_FOREACH(connection, &ctl->connections, list) {
		if (!connection->watching || !(connection->privileged || (client && client->uid == connection->uid)))
			continue;
		if (!text) {
			json_t *answer = json_pack("{s:O, s:b}", "parameters", event, "continues", 1);

			text = ctl_dump(answer);
			json_decref(answer);
		}
		if (text)
			ctl_push(connection, text);
	}
	free(text);
	json_decref(event);
}

/* ---- methods ---- */

/* A method returns its answer, or NULL when it will come later. */
typedef json_t *ctl_method(struct ctl_connection *connection, json_t *parameters);

static bool ctl_may(const struct ctl_connection *connection, const struct client *client)
{
	return connection->privileged || connection->uid == client->uid;
}

static json_t *ctl_denied(const char *what)
{
	return ctl_error("Denied", "%s: only root and members of the control group may do that", what);
}

/* The process named by "pid"; NULL with the error to answer. */
static struct client *ctl_process(struct ctl_connection *connection, json_t *parameters, json_t **ret_error)
{
	json_t *pid = json_object_get(parameters, "pid");
	struct client *client;

	if (!json_is_integer(pid) || json_integer_value(pid) < 1 || json_integer_value(pid) > INT32_MAX) {
		*ret_error = ctl_error("InvalidParameter", "pid: a process number is needed");
		return NULL;
	}
	client = registry_find_pid(&connection->ctl->daemon->registry, (pid_t)json_integer_value(pid));
	if (!client || !client_alive(client))
		*ret_error = ctl_error("NoSuchProcess",
			"process %d is not registered: is libhakmem preloaded there, and its heap more than a few MiB?",
			(int)json_integer_value(pid));
	else if (!ctl_may(connection, client))
		*ret_error = ctl_error("Denied",
			"process %d belongs to uid %u: only its user, root and members of the control group may do that",
			client->pid, client->uid);
	else
		return client;
	return NULL;
}

static json_t *ctl_status(struct ctl_connection *connection, json_t *parameters)
{
	(void)parameters;
	return ctl_answer(report_status(connection->ctl->daemon, connection->uid, connection->privileged));
}

static json_t *ctl_list(struct ctl_connection *connection, json_t *parameters)
{
	(void)parameters;
	return ctl_answer(report_processes(
		connection->ctl->daemon, connection->uid, connection->privileged, REPORT_BRIEF, 0));
}

static void ctl_stats_now(struct ctl_connection *connection)
{
	struct daemon *daemon = connection->ctl->daemon;
	json_t *answer;

	connection->surveying = false;
	connection->n_surveys = 0;
	if (connection->survey_pid && !registry_find_pid(&daemon->registry, connection->survey_pid))
		answer = ctl_error("NoSuchProcess", "process %d has just gone", connection->survey_pid);
	else
		answer = ctl_answer(report_processes(daemon, connection->uid, connection->privileged,
			connection->survey_pid ? REPORT_CLASSES : REPORT_FULL, connection->survey_pid));
	ctl_send(connection, answer);
}

/* Ask the processes concerned to count anew, and wait a little for them. */
static json_t *ctl_stats(struct ctl_connection *connection, json_t *parameters)
{
	struct daemon *daemon = connection->ctl->daemon;
	struct client *only = NULL;
	json_t *error = NULL;

	if (json_object_get(parameters, "pid")) {
		only = ctl_process(connection, parameters, &error);
		if (!only)
			return error;
	}
	connection->survey_pid = only ? only->pid : 0;
	connection->n_surveys = 0;
	for (size_t i = 0; i < daemon->registry.n_clients; i++) {
		struct client *client = daemon->registry.clients[i];

		if ((only && client != only) || !ctl_may(connection, client))
			continue;
		connection->n_surveys += controller_survey(&daemon->controller, client, connection->id);
	}
	connection->surveying = true;
	loop_timer_set(connection->timer, connection->n_surveys ? CTL_SURVEY_NSEC : 0);
	return NULL;
}

static json_t *ctl_flush(struct ctl_connection *connection, json_t *parameters)
{
	json_t *level = json_object_get(parameters, "level"), *target = json_object_get(parameters, "target");
	struct controller *controller = &connection->ctl->daemon->controller;
	uint64_t target_bytes = UINT64_MAX;
	struct client *client;
	json_t *error = NULL;
	struct why why = why_request(connection->uid);

	client = ctl_process(connection, parameters, &error);
	if (!client)
		return error;
	if (level && (!json_is_integer(level) || json_integer_value(level) < 0 ||
			     json_integer_value(level) >= POLICY_N_LEVELS))
		return ctl_error("InvalidParameter", "level: 0 (cold), 1 (caches), 2 (pages) or 3 (everything)");
	if (target && (!json_is_integer(target) || json_integer_value(target) < 1))
		return ctl_error("InvalidParameter", "target: a number of bytes");
	if (target)
		target_bytes = (uint64_t)json_integer_value(target);
	connection->ticket = controller_flush(controller, client, level ? (uint32_t)json_integer_value(level) : 2,
		target_bytes, &why);
	loop_timer_stop(connection->timer); /* the flush has its own */
	return NULL;
}

static json_t *ctl_explain(struct ctl_connection *connection, json_t *parameters)
{
	json_t *error = NULL;
	struct client *client = ctl_process(connection, parameters, &error);

	return client ? ctl_answer(report_explain(client)) : error;
}

static json_t *ctl_watch(struct ctl_connection *connection, json_t *parameters)
{
	(void)parameters;
	connection->watching = true;
	connection->ctl->n_watching++;
	loop_timer_stop(connection->timer);
	return NULL;
}

static json_t *ctl_metrics(struct ctl_connection *connection, json_t *parameters)
{
	CLEANUP_FREE char *text = metrics_text(connection->ctl->daemon);

	(void)parameters;
	return ctl_answer(json_pack("{s:s}", "text", text ? text : ""));
}

static json_t *ctl_set_paused(struct ctl_connection *connection, bool paused)
{
	struct controller *controller = &connection->ctl->daemon->controller;

	if (!connection->privileged)
		return ctl_denied(paused ? "pause" : "resume");
	if (controller->paused != paused)
		log_info("%s by uid %u", paused ? "paused" : "resumed", connection->uid);
	controller->paused = paused;
	controller_wake(controller);
	return ctl_answer(json_pack("{s:b}", "paused", paused));
}

static json_t *ctl_pause(struct ctl_connection *connection, json_t *parameters)
{
	(void)parameters;
	return ctl_set_paused(connection, true);
}

static json_t *ctl_resume(struct ctl_connection *connection, json_t *parameters)
{
	(void)parameters;
	return ctl_set_paused(connection, false);
}

static json_t *ctl_reload(struct ctl_connection *connection, json_t *parameters)
{
	char complaints[1024];

	(void)parameters;
	if (!connection->privileged)
		return ctl_denied("reload");
	if (daemon_reload(connection->ctl->daemon, complaints, sizeof complaints) < 0)
		return ctl_error("ReloadFailed", "the configuration in force stays: %.480s", complaints);
	return ctl_answer(NULL);
}

static const struct {
	const char *name;
	ctl_method *method;
} ctl_methods[] = {
	{"io.hakmem.Status", ctl_status},
	{"io.hakmem.List", ctl_list},
	{"io.hakmem.Stats", ctl_stats},
	{"io.hakmem.Flush", ctl_flush},
	{"io.hakmem.Explain", ctl_explain},
	{"io.hakmem.Watch", ctl_watch},
	{"io.hakmem.Metrics", ctl_metrics},
	{"io.hakmem.Pause", ctl_pause},
	{"io.hakmem.Resume", ctl_resume},
	{"io.hakmem.Reload", ctl_reload},
};

static json_t *ctl_call(struct ctl_connection *connection, const char *text, size_t length)
{
	json_t *request = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL), *answer, *parameters;
	const char *method = json_string_value(json_object_get(request, "method"));

	parameters = json_object_get(request, "parameters");
	if (!method)
		answer = ctl_error("InvalidRequest", "not a JSON object with a method");
	else if (parameters && !json_is_object(parameters))
		answer = ctl_error("InvalidRequest", "parameters: not a JSON object");
	else {
		answer = NULL;
		for (size_t i = 0; i < ARRAY_SIZE(ctl_methods); i++)
			if (!strcmp(method, ctl_methods[i].name)) {
				answer = ctl_methods[i].method(connection, parameters);
				json_decref(request);
				return answer;
			}
		answer = ctl_error("MethodNotFound", "this daemon has no such method");
	}
	json_decref(request);
	return answer;
}

/* ---- what is waited for ---- */

static json_t *ctl_flush_answer(const struct client *client, const struct controller_report *report)
{
	if (report->error == -ETIMEDOUT)
		return ctl_error("Timeout", "process %d did not answer within %" PRIu64 " ms (TimeoutMs=)", client->pid,
			report->usec / 1000);
	if (report->error)
		return ctl_error("NoSuchProcess", "process %d went away during the flush", client->pid);
	return ctl_answer(report_flush(client, report));
}

void ctl_flush_done(struct ctl *ctl, uint64_t ticket, const struct client *client,
	const struct controller_report *report)
{
	struct ctl_connection *connection;

	TAILQ_FOREACH(connection, &ctl->connections, list)
		if (connection->ticket == ticket) {
			connection->ticket = 0;
			ctl_send(connection, ctl_flush_answer(client, report));
		}
}

void ctl_survey_done(struct ctl *ctl, uint64_t connection_id)
{
	struct ctl_connection *connection;

	TAILQ_FOREACH(connection, &ctl->connections, list)
		if (connection->id == connection_id && connection->surveying && connection->n_surveys &&
			--connection->n_surveys == 0)
			loop_timer_set(connection->timer, 0); /* answers from its own callback */
}

static void ctl_timeout(void *data)
{
	struct ctl_connection *connection = data;

	if (connection->surveying)
		ctl_stats_now(connection);
	else
		ctl_close(connection);
}

/* ---- connections ---- */

static bool ctl_busy(const struct ctl_connection *connection)
{
	return connection->answer || connection->ticket || connection->surveying || connection->watching;
}

/* Carry out the requests that are complete, one at a time; false where the peer is to go. */
static bool ctl_process_requests(struct ctl_connection *connection)
{
	json_t *answer;
	size_t length;
	char *end;

	while (!ctl_busy(connection)) {
		end = memchr(connection->request, '\0', connection->n_request);
		if (!end)
			return connection->n_request < sizeof connection->request;
		length = (size_t)(end - connection->request);
		answer = ctl_call(connection, connection->request, length);
		connection->n_request -= length + 1;
		memmove(connection->request, end + 1, connection->n_request);
		if (answer || !ctl_busy(connection)) /* none, and none to come: memory is out, and the caller is told by EOF */
			ctl_send(connection, answer);
	}
	return true;
}

static bool ctl_read(struct ctl_connection *connection)
{
	size_t room = sizeof connection->request - connection->n_request;
	char beyond;
	ssize_t n;

	/* A caller may send its next request early, but not more than fits. */
	n = recv(connection->fd, room ? connection->request + connection->n_request : &beyond, room ? room : 1,
		MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0 || !room)
		return false;
	connection->n_request += (size_t)n;
	return true;
}

static void ctl_ready(int fd, unsigned what, void *data)
{
	struct ctl_connection *connection = data;
	bool stays = true;

	(void)fd;
	if (what & LOOP_READ)
		stays = ctl_read(connection);
	if (stays && what & LOOP_WRITE && connection->answer)
		stays = ctl_write(connection);
	if (stays)
		stays = ctl_process_requests(connection);
	if (!stays)
		ctl_close(connection);
}

/* SO_PEERCRED has the primary group only. */
static bool ctl_in_group(const struct ctl *ctl, int fd, gid_t primary)
{
	CLEANUP_FREE gid_t *groups = NULL;
	socklen_t size = 64 * sizeof *groups;
	bool found = false;

	if (!ctl->has_group)
		return false;
	if (primary == ctl->group)
		return true;
	groups = malloc(size);
	if (groups && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
		free(groups);
		groups = errno == ERANGE ? malloc(size) : NULL;
		if (groups && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
			size = 0;
	}
	for (size_t i = 0; groups && i < size / sizeof *groups; i++)
		found |= groups[i] == ctl->group;
	return found;
}

static size_t ctl_count(const struct ctl *ctl, uid_t uid)
{
	const struct ctl_connection *connection;
	size_t n = 0;

	TAILQ_FOREACH(connection, &ctl->connections, list)
		n += connection->uid == uid;
	return n;
}

static bool ctl_has_room(const struct ctl *ctl, uid_t uid)
{
	uint64_t max = ctl->daemon->config.control_max;

	if (uid == 0)
		return ctl->n_connections < max;
	return ctl->n_connections < max - max / 4 && ctl_count(ctl, uid) < CTL_PER_USER_MAX;
}

void ctl_take(struct ctl *ctl, int fd)
{
	struct ctl_connection *connection;
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || !ctl_has_room(ctl, peer.uid) ||
		!(connection = calloc(1, sizeof *connection))) {
		close(fd);
		return;
	}
	connection->ctl = ctl;
	connection->id = ++ctl->next_id;
	connection->fd = fd;
	connection->uid = peer.uid;
	connection->privileged = peer.uid == 0 || peer.uid == geteuid() || ctl_in_group(ctl, fd, peer.gid);
	TAILQ_INSERT_TAIL(&ctl->connections, connection, list);
	ctl->n_connections++;
	if (loop_io_new(ctl->daemon->loop, fd, LOOP_READ, ctl_ready, connection, &connection->io) < 0 ||
		loop_timer_new(ctl->daemon->loop, ctl_timeout, connection, &connection->timer) < 0 ||
		loop_timer_set(connection->timer, CTL_PATIENCE) < 0)
		ctl_close(connection);
}

void ctl_find_group(struct ctl *ctl)
{
	const char *name = ctl->daemon->config.control_group;
	const struct group *group = *name ? getgrnam(name) : NULL;

	ctl->has_group = group != NULL;
	if (group)
		ctl->group = group->gr_gid;
}

int ctl_init(struct ctl *ctl, struct daemon *daemon)
{
	*ctl = (struct ctl){.daemon = daemon};
	TAILQ_INIT(&ctl->connections);
	ctl_find_group(ctl);
	return 0;
}

void ctl_deinit(struct ctl *ctl)
{
	while (!TAILQ_EMPTY(&ctl->connections))
		ctl_close(TAILQ_FIRST(&ctl->connections));
}

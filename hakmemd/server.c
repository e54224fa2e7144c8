/* SPDX-License-Identifier: MIT */
/* The listening sockets, and what clients say: see server.h. */
#include <config.h>

#include "hakmemd/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "hakmemd/daemon.h"
#include "hakmemd/report.h"
#include "hakmemd/util.h"

#define SERVER_BACKLOG         4096 /* after a restart everybody comes at once; the kernel caps it */
#define SERVER_ACCEPTS         64   /* per wake-up: other work gets its turn */
#define SERVER_FRAMES          16   /* per client and wake-up */
#define SERVER_UNSOLICITED_MAX 64   /* frames that answer nothing, in a row */
#define SERVER_QUOTA_AWAY_SEC  60
#define SERVER_FDS_ROOT        32   /* the last descriptors: root's clients and our own passing needs ... */
#define SERVER_FDS_OWN         16   /* ... which alone have these: /proc, and whoever controls */

/* ---- sockets ---- */

static int server_listen(struct server_socket *socket_, const char *dir, const char *name, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP_FD int fd = -1;

	if (snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", dir, name) >=
		(int)sizeof address.sun_path) {
		log_error("%s/%s: too long for a socket (%zu bytes at most)", dir, name,
			sizeof address.sun_path - 1);
		return -ENAMETOOLONG;
	}
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Holding the lock of the directory, we know that a socket found there is of a daemon that died. */
	if (unlink(address.sun_path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	strcpy(socket_->path, address.sun_path);
	if (chmod(address.sun_path, 0666) < 0 || listen(fd, SERVER_BACKLOG) < 0)
		return -errno;
	socket_->fd = fd;
	fd = -1;
	return 0;
}

static int server_open(struct server *server, struct server_socket *socket_, int given, const char *name,
	int type, loop_io_fn *fn)
{
	int r = 0;

	if (given >= 0) {
		socket_->fd = given;
		if (fcntl(given, F_SETFL, O_NONBLOCK) < 0)
			r = -errno;
	} else
		r = server_listen(socket_, server->daemon->runtime_dir, name, type);
	if (r >= 0)
		r = loop_io_new(server->daemon->loop, socket_->fd, LOOP_READ, fn, server, &socket_->io);
	if (r < 0)
		log_error("%s/%s: %s", server->daemon->runtime_dir, name, strerror(-r));
	return r;
}

static void server_close(struct server_socket *socket_)
{
	loop_io_free(socket_->io);
	socket_->io = NULL;
	util_close(&socket_->fd);
	if (*socket_->path)
		unlink(socket_->path);
	*socket_->path = '\0';
}

int server_accept(struct server *server, int listen_fd)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ECONNABORTED || errno == EINTR)
		return -EAGAIN;
	if (errno != EMFILE && errno != ENFILE)
		return -errno;
	util_close(&server->spare_fd);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	util_close(&fd);
	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	server->n_refused++;
	if (log_allowed(&server->limit))
		log_warning("out of file descriptors: a connection was turned away (raise LimitNOFILE=)");
	return -EAGAIN;
}

/* ---- clients ---- */

static void server_forget(struct server *server, struct client *client)
{
	controller_gone(&server->daemon->controller, client);
	if (client->state == CLIENT_READY && server->daemon->ctl.n_watching)
		ctl_event(&server->daemon->ctl, client, report_client_event(client, "leave"));
	registry_remove(&server->daemon->registry, client);
	client_free(client);
}

/* The last frame to a client.  A socket closed with records unread would reset the connection, and the peer would
 * see that before it sees BYE: so what it still says is thrown away first. */
static void server_send_bye(struct client *client, uint32_t reason, uint32_t stay_away_sec)
{
	struct hkp_frame frame = {
		.header = {.type = HKP_BYE}, .bye = {.reason = reason, .stay_away_sec = stay_away_sec}};
	ssize_t n = 1;

	(void)client_send(client, &frame, -1);
	(void)shutdown(client->fd, SHUT_RD);
	for (unsigned i = 0; i < SERVER_BACKLOG && n > 0; i++)
		n = recv(client->fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
}

void server_drop(struct server *server, struct client *client, const char *why)
{
	server->n_dropped++;
	if (log_allowed(&server->limit))
		log_warning("dropped pid %d (%s) of uid %u: %s", client->pid, client->comm, client->uid, why);
	server_send_bye(client, HKP_BYE_PROTOCOL, 0);
	server_forget(server, client);
}

/* Handlers return NULL, or why the client is to be dropped; SERVER_LEFT where it has said goodbye. */
typedef const char *server_handler(struct server *server, struct client *client, struct client_frame *frame);

static const char server_left[] = "left";

/* A process has one heap: the newer connection of the same process is the one that counts. */
static void server_replace_older(struct server *server, struct client *client)
{
	struct client *older = client->pid > 0 ? registry_find_pid(&server->daemon->registry, client->pid) : NULL;

	if (older && older != client)
		server_forget(server, older);
}

int server_welcome(struct server *server, struct client *client, bool with_board)
{
	struct hkp_frame frame = {.header = {.type = HKP_WELCOME},
		.welcome = {.client_id = client->id,
			.daemon_version = DAEMON_VERSION_NUMBER,
			.domain = client->domain->id}};

	return client_send(client, &frame, with_board ? server->daemon->board.read_fd : -1);
}

static const char *server_hello(struct server *server, struct client *client, struct client_frame *frame)
{
	struct daemon *daemon = server->daemon;
	struct proc_memory memory;
	const char *why;

	if (client->state != CLIENT_NEW)
		return "said HELLO twice";
	if (frame->fd < 0)
		return "sent no stats segment with HELLO";
	if (client_check_stats(frame->fd, &why) < 0) {
		if (log_allowed(&server->limit))
			log_warning("stats segment of pid %d (%s) of uid %u %s", client->pid, client->comm,
				client->uid, why);
		return "its stats segment was refused";
	}
	if (client_map_stats(client, frame->fd) < 0)
		return "sent a stats segment for which there is no memory";
	server_replace_older(server, client);
	client->library_version = frame->frame.hello.library_version;
	policy_client_init(&client->policy, &daemon->config.policy);
	client->policy.seed = (client->id * UINT64_C(2654435761) ^ daemon->started_nsec) & UINT32_MAX;
	registry_place(&daemon->registry, client);
	client->state = CLIENT_READY;
	daemon->registry.n_ready++;
	if (server_welcome(server, client, true) < 0)
		return "does not read";
	if (client_memory(client, &memory) == -ESRCH && client_alive(client) && log_allowed(&server->limit))
		log_warning("what pid %d (%s) of uid %u holds cannot be read: is /proc mounted with hidepid=, or the process in "
			    "another pid namespace? Its word is all there is",
			client->pid, client->comm, client->uid);
	log_debug("registered pid %d (%s) of uid %u in %s", client->pid, client->comm, client->uid,
		client->domain->path);
	if (daemon->ctl.n_watching)
		ctl_event(&daemon->ctl, client, report_client_event(client, "register"));
	controller_wake(&daemon->controller);
	return NULL;
}

static const char *server_result(struct server *server, struct client *client, struct client_frame *frame)
{
	if (client->state != CLIENT_READY)
		return "answered before HELLO";
	if (controller_result(&server->daemon->controller, client, &frame->frame))
		client->n_unsolicited = 0;
	else
		client->n_unsolicited++; /* an answer that came too late is no offence; a stream of them is */
	return NULL;
}

static const char *server_bye(struct server *server, struct client *client, struct client_frame *frame)
{
	(void)server;
	(void)client;
	(void)frame;
	return server_left;
}

static const char *server_wrong_way(struct server *server, struct client *client, struct client_frame *frame)
{
	(void)server;
	(void)client;
	(void)frame;
	return "sent what only the daemon sends";
}

static const struct {
	uint8_t type;
	server_handler *handler;
} server_handlers[] = {
	{HKP_HELLO, server_hello},
	{HKP_RESULT, server_result},
	{HKP_BYE, server_bye},
	{HKP_WELCOME, server_wrong_way},
	{HKP_FLUSH, server_wrong_way},
	{HKP_SURVEY, server_wrong_way},
};

static const char *server_dispatch(struct server *server, struct client *client, struct client_frame *frame)
{
	uint8_t type = frame->frame.header.type;

	if (frame->fd >= 0 && type != HKP_HELLO)
		return "sent a descriptor that belongs to no HELLO";
	for (size_t i = 0; i < ARRAY_SIZE(server_handlers); i++)
		if (server_handlers[i].type == type)
			return server_handlers[i].handler(server, client, frame);
	client->n_unsolicited++; /* of a later 1.x: ignored */
	return NULL;
}

static const char *server_violation(int error)
{
	switch (error) {
	case -ECONNRESET:
		return server_left;
	case -ETOOMANYREFS:
		return "sent more than one descriptor, or one that could not be taken";
	case -EPROTONOSUPPORT:
		return "speaks another major version of the protocol";
	default:
		return "sent a malformed frame";
	}
}

static void server_client_ready(void *data)
{
	struct client *client = data;
	struct server *server = &client->daemon->server;
	struct client_frame frame;
	const char *wrong = NULL;
	int r = 1;

	for (unsigned i = 0; i < SERVER_FRAMES && r > 0 && !wrong; i++) {
		r = client_receive(client, &frame);
		if (r < 0)
			wrong = server_violation(r);
		else if (r > 0)
			wrong = server_dispatch(server, client, &frame);
		util_close(&frame.fd);
		if (!wrong && client->n_unsolicited > SERVER_UNSOLICITED_MAX)
			wrong = "keeps talking without being asked";
	}
	if (wrong == server_left)
		server_forget(server, client);
	else if (wrong)
		server_drop(server, client, wrong);
}

/* Over a limit: say so, and close. */
static void server_refuse(struct server *server, struct client *client, int error)
{
	server->n_refused++;
	if (log_allowed(&server->limit))
		log_warning("refused pid %d (%s) of uid %u: %s", client->pid, client->comm, client->uid,
			error == -EDQUOT         ? "its user has too many clients (ClientsPerUid=)"
				: error == -EUSERS ? "too many clients (ClientsMax=)"
				: error == -EMFILE ? "descriptors are short, and its user has clients (raise LimitNOFILE=)"
						   : strerror(-error));
	server_send_bye(client, HKP_BYE_QUOTA, SERVER_QUOTA_AWAY_SEC);
	client_free(client);
}

/* Descriptors are given out lowest first, so a number says how many are taken.  The last quarter is for users that have
 * no client yet, whatever one user opens. */
static bool server_has_room(const struct server *server, const struct client *client)
{
	int fd = client->fd > client->pidfd ? client->fd : client->pidfd;

	if (client->uid == 0)
		return fd < server->n_fds_max - SERVER_FDS_OWN;
	if (fd < server->n_fds_max / 4 * 3)
		return true;
	return fd < server->n_fds_max - SERVER_FDS_ROOT && !registry_count_uid(&server->daemon->registry, client->uid);
}

static void server_take_client(struct server *server, int fd)
{
	struct daemon *daemon = server->daemon;
	struct client *client;
	int r = client_new(daemon, fd, &client);

	if (r < 0)
		return; /* it has gone already, or memory is out: it will come again */
	r = -EMFILE;
	if (server_has_room(server, client))
		r = registry_add(&daemon->registry, client, daemon->config.clients_max, daemon->config.clients_per_uid);
	if (r < 0) {
		server_refuse(server, client, r);
		return;
	}
	r = loop_set_add(server->clients, client->fd, client);
	client->watched = r >= 0;
	if (r < 0)
		server_forget(server, client);
	else if (!daemon->controller.ticking)
		controller_wake(&daemon->controller);
}

static void server_take_control(struct server *server, int fd)
{
	ctl_take(&server->daemon->ctl, fd);
}

/* Whoever waits at a socket, up to SERVER_ACCEPTS at a time. */
static void server_take_callers(struct server *server, int listen_fd, void (*take)(struct server *, int))
{
	for (unsigned i = 0; i < SERVER_ACCEPTS; i++) {
		int fd = server_accept(server, listen_fd);

		if (fd < 0)
			return;
		take(server, fd);
	}
}

static void server_client_calls(int listen_fd, unsigned what, void *data)
{
	(void)what;
	server_take_callers(data, listen_fd, server_take_client);
}

static void server_control_calls(int listen_fd, unsigned what, void *data)
{
	(void)what;
	server_take_callers(data, listen_fd, server_take_control);
}

void server_say_bye(struct server *server, uint32_t reason, uint32_t stay_away_sec)
{
	struct registry *registry = &server->daemon->registry;

	for (size_t i = 0; i < registry->n_clients; i++)
		server_send_bye(registry->clients[i], reason, stay_away_sec);
}

int server_init(struct server *server, struct daemon *daemon, const struct notify_sockets *given)
{
	struct rlimit limit = {.rlim_cur = INT_MAX};
	int r;

	*server = (struct server){.daemon = daemon, .client = {.fd = -1}, .control = {.fd = -1}, .spare_fd = -1};
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	server->n_fds_max = (int)util_min(limit.rlim_cur, INT_MAX);
	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	r = loop_set_new(daemon->loop, server_client_ready, &server->clients);
	if (r < 0)
		log_error("the clients' event set: %s", strerror(-r));
	else
		r = server_open(server, &server->client, given->client, HKP_CLIENT_SOCKET, SOCK_SEQPACKET,
			server_client_calls);
	if (r >= 0)
		r = server_open(server, &server->control, given->control, HKP_CONTROL_SOCKET, SOCK_STREAM,
			server_control_calls);
	return r;
}

void server_deinit(struct server *server)
{
	server_close(&server->client);
	server_close(&server->control);
	loop_set_free(server->clients);
	util_close(&server->spare_fd);
}

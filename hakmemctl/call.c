/* SPDX-License-Identifier: MIT */
/*
 * One call to the daemon: connect, send a JSON object ended by NUL, wait for one.
 *
 * The time limit covers the whole call.  What the daemon refuses becomes an exit code by one table.
 */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "hakmemd/util.h"
#include "protocol/wire.h"

#define CALL_ANSWER_MAX (256u << 20) /* no daemon says more */

static const struct {
	const char *error;
	int code;
} call_errors[] = {
	{"io.hakmem.NoSuchProcess", CTL_NO_PROCESS},
	{"io.hakmem.Denied", CTL_DENIED},
	{"io.hakmem.Timeout", CTL_TIMEOUT},
	{"io.hakmem.InvalidParameter", CTL_USAGE},
};

void ctl_complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("hakmemctl: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

static int call_connect(const struct ctl_options *options, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r;

	if (snprintf(address.sun_path, sizeof address.sun_path, "%s/" HKP_CONTROL_SOCKET, options->runtime_dir) >=
		(int)sizeof address.sun_path) {
		ctl_complain("%s: too long for a socket's directory", options->runtime_dir);
		return CTL_USAGE;
	}
	*ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*ret_fd >= 0 && connect(*ret_fd, (struct sockaddr *)&address, sizeof address) == 0)
		return CTL_OK;
	r = errno;
	if (r == ENOENT || r == ECONNREFUSED || r == ENOTDIR)
		ctl_complain("no daemon at %s: is hakmemd running? (systemctl start hakmemd, or another "
			     "--runtime-dir)",
			address.sun_path);
	else
		ctl_complain("%s: %s", address.sun_path, strerror(r));
	return r == EACCES || r == EPERM ? CTL_DENIED : CTL_NO_DAEMON;
}

/* Wait for the socket until `due`. */
static int call_wait(int fd, short events, uint64_t due_nsec)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	uint64_t now_nsec;
	int r;

	do {
		now_nsec = util_now_nsec();
		if (now_nsec >= due_nsec)
			break;
		r = poll(&poll_fd, 1, (int)util_min((due_nsec - now_nsec) / NSEC_PER_MSEC + 1, 1 << 30));
		if (r > 0)
			return CTL_OK;
	} while (r == 0 || errno == EINTR);
	ctl_complain("the daemon did not answer in time (--timeout SEC waits longer)");
	return CTL_TIMEOUT;
}

static int call_lost(void)
{
	ctl_complain("the daemon closed the connection: it was stopped, or has too many callers");
	return CTL_NO_DAEMON;
}

static int call_send(int fd, const char *text, uint64_t due_nsec)
{
	size_t length = strlen(text) + 1, sent = 0;
	ssize_t n;
	int r;

	while (sent < length) {
		r = call_wait(fd, POLLOUT, due_nsec);
		if (r != CTL_OK)
			return r;
		n = send(fd, text + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return call_lost();
		sent += n > 0 ? (size_t)n : 0;
	}
	return CTL_OK;
}

static int call_receive(int fd, uint64_t due_nsec, char **ret_text)
{
	size_t size = 65536, length = 0;
	char *text = malloc(size), *grown;
	ssize_t n;
	int r = text ? CTL_OK : CTL_ERROR;

	while (r == CTL_OK) {
		if (length == size) {
			grown = size < CALL_ANSWER_MAX ? realloc(text, size * 2) : NULL;
			if (!grown) {
				r = CTL_ERROR;
				break;
			}
			text = grown;
			size *= 2;
		}
		r = call_wait(fd, POLLIN, due_nsec);
		if (r != CTL_OK)
			break;
		n = recv(fd, text + length, size - length, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			r = call_lost();
		else if (length += (size_t)n, !text[length - 1]) {
			*ret_text = text;
			return CTL_OK;
		}
	}
	free(text);
	return r;
}

static int call_refused(const json_t *answer, const char *error)
{
	const char *message = ctl_text(json_object_get(answer, "parameters"), "message");

	ctl_complain("%s", *message ? message : error);
	for (size_t i = 0; i < ARRAY_SIZE(call_errors); i++)
		if (!strcmp(error, call_errors[i].error))
			return call_errors[i].code;
	return CTL_ERROR;
}

static int call_understand(const char *text, json_t **ret_answer)
{
	json_t *answer = json_loads(text, 0, NULL), *parameters;
	const char *error = json_string_value(json_object_get(answer, "error"));
	int r = CTL_ERROR;

	parameters = json_object_get(answer, "parameters");
	if (error)
		r = call_refused(answer, error);
	else if (!json_is_object(parameters))
		ctl_complain("the daemon's answer is not understood");
	else {
		*ret_answer = json_incref(parameters);
		r = CTL_OK;
	}
	json_decref(answer);
	return r;
}

/* Objects ended by NUL out of a stream, one at a time; what follows an object stays for the next call. */
struct call_stream {
	int fd;
	char *text;
	size_t length, size;
};

static int call_next(struct call_stream *stream, char **ret_text)
{
	char *end, *grown;
	ssize_t n;

	while (!(end = stream->length ? memchr(stream->text, '\0', stream->length) : NULL)) {
		if (stream->length == stream->size) {
			grown = stream->size < CALL_ANSWER_MAX ? realloc(stream->text, stream->size * 2 + 4096) : NULL;
			if (!grown)
				return CTL_ERROR;
			stream->text = grown;
			stream->size = stream->size * 2 + 4096;
		}
		n = recv(stream->fd, stream->text + stream->length, stream->size - stream->length, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return call_lost();
		stream->length += (size_t)n;
	}
	*ret_text = strdup(stream->text);
	stream->length -= (size_t)(end + 1 - stream->text);
	memmove(stream->text, end + 1, stream->length);
	return *ret_text ? CTL_OK : CTL_ERROR;
}

int ctl_stream(const struct ctl_options *options, const char *method, ctl_each *fn)
{
	uint64_t due_nsec = util_now_nsec() + (uint64_t)(options->timeout_sec * 1e9);
	struct call_stream stream = {.fd = -1};
	char request[128], *text;
	json_t *answer;
	int r;

	snprintf(request, sizeof request, "{\"method\":\"%s\"}", method);
	r = call_connect(options, &stream.fd);
	if (r == CTL_OK)
		r = call_send(stream.fd, request, due_nsec);
	while (r == CTL_OK && (r = call_next(&stream, &text)) == CTL_OK) {
		r = call_understand(text, &answer);
		free(text);
		if (r == CTL_OK) {
			fn(answer);
			json_decref(answer);
		}
	}
	util_close(&stream.fd);
	free(stream.text);
	return r;
}

int ctl_call(const struct ctl_options *options, const char *method, json_t *parameters, json_t **ret_answer)
{
	json_t *request = json_pack("{s:s, s:o}", "method", method, "parameters",
		parameters ? parameters : json_object());
	uint64_t due_nsec = util_now_nsec() + (uint64_t)(options->timeout_sec * 1e9);
	CLEANUP_FREE char *text = json_dumps(request, JSON_COMPACT), *answer = NULL;
	CLEANUP_FD int fd = -1;
	int r;

	json_decref(request);
	if (!text)
		return CTL_ERROR;
	r = call_connect(options, &fd);
	if (r == CTL_OK)
		r = call_send(fd, text, due_nsec);
	if (r == CTL_OK)
		r = call_receive(fd, due_nsec, &answer);
	return r == CTL_OK ? call_understand(answer, ret_answer) : r;
}

/* SPDX-License-Identifier: MIT */
/*
 * The control socket, from the caller's bytes to the answer: the input is what one connection writes.
 *
 * A registered process is there to be asked about; "PID" in the input stands for its number.
 */
#include <config.h>

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/wire.h"
#include "tests/fuzz/daemon.h"
#include "tests/fuzz/fuzz.h"

static size_t fuzz_number(const uint8_t *data, size_t size, char *ret_text)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		if (size - i >= 3 && !memcmp(data + i, "PID", 3)) {
			n += (size_t)sprintf(ret_text + n, "%d", getpid());
			i += 2;
		} else
			ret_text[n++] = (char)data[i];
	return n;
}

/* Whatever comes is JSON, each ended by NUL. */
static void fuzz_read(int fd)
{
	static char text[1 << 16];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	if (n <= 0)
		return;
	text[n] = '\0';
	FUZZ_HOLDS(text[0] == '{');
}

static void fuzz_forget_flushes(int fd)
{
	char bytes[HKP_FRAME_MAX];
	struct hkp_frame frame;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		if (hkp_decode(bytes, (size_t)n, &frame) == 0 &&
			(frame.header.type == HKP_FLUSH || frame.header.type == HKP_SURVEY)) {
			frame.header.type = HKP_RESULT;
			memset(&frame.result, 0, sizeof frame.result);
			n = hkp_encode(&frame, bytes, sizeof bytes);
			fuzz_send(fd, bytes, (size_t)n, -1, 0);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_client client = {-1, -1};
	struct daemon *daemon = fuzz_daemon();
	char *text = malloc(size * 8 + 1);
	size_t length;
	int fd;

	FUZZ_HOLDS(text);
	if (client.socket < 0)
		client = fuzz_register(daemon);
	length = fuzz_number(data, size, text);
	fd = fuzz_connect(daemon, HKP_CONTROL_SOCKET, SOCK_STREAM);
	(void)send(fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (unsigned i = 0; i < 4; i++) {
		fuzz_turn(daemon, 1);
		fuzz_forget_flushes(client.socket);
	}
	fuzz_read(fd);
	close(fd);
	fuzz_turn(daemon, 3);
	FUZZ_HOLDS(daemon->registry.n_ready == 1 && daemon->ctl.n_connections == 0);
	free(text);
	return 0;
}

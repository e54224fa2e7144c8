/* SPDX-License-Identifier: MIT */
/*
 * A client's connection: the input is a row of records, each a byte of length, a byte that says how many descriptors
 * of which kind come along, and as many bytes as it says.
 */
#include <config.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hakmemd/util.h"
#include "protocol/stats.h"
#include "protocol/wire.h"
#include "tests/fuzz/daemon.h"
#include "tests/fuzz/fuzz.h"

/* Bits 0 to 2: how many; bits 3 and 4: a segment whose figures are the input, an empty one, a file, nothing. */
static int fuzz_descriptor(uint8_t kind, const uint8_t *data, size_t size)
{
	struct hkp_stats stats = {.magic = HKP_STATS_MAGIC, .version = HKP_STATS_VERSION, .size = HKP_STATS_BYTES};

	switch (kind >> 3 & 3) {
	case 0:
		memcpy(&stats.activity_nsec, data, util_min(size, sizeof stats - 16));
		return fuzz_segment(&stats, sizeof stats);
	case 1:
		return fuzz_segment("", 1);
	case 2:
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	default:
		return -1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct daemon *daemon = fuzz_daemon();
	int connection = fuzz_connect(daemon, HKP_CLIENT_SOCKET, SOCK_SEQPACKET);

	fuzz_turn(daemon, 1);
	while (size >= 2) {
		size_t length = util_min(data[0], size - 2);
		int fd = data[1] & 7 ? fuzz_descriptor(data[1], data + 2, size - 2) : -1;

		fuzz_send(connection, data + 2, length, fd, data[1] & 7);
		util_close(&fd);
		data += 2 + length;
		size -= 2 + length;
		fuzz_turn(daemon, 1);
	}
	loop_timer_set(daemon->controller.tick, 0); /* what it said reaches the policy */
	fuzz_turn(daemon, 2);
	close(connection);
	for (unsigned i = 0; i < 5 && daemon->registry.n_clients; i++)
		fuzz_turn(daemon, 1);
	FUZZ_HOLDS(daemon->registry.n_clients == 0 && daemon->registry.n_ready == 0 &&
		TAILQ_EMPTY(&daemon->controller.waiting));
	return 0;
}

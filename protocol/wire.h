/* SPDX-License-Identifier: MIT */
/*
 * The frames between libhakmem and hakmemd.
 *
 * Why: both sides compile this one definition, and services keep an old library mapped for months, so the
 * format says its version and every 1.x side understands every other.
 *
 * How: one SOCK_SEQPACKET record is one frame: a 16-byte header and a payload of fixed-width little-endian
 * fields.  Within major version 1 a payload only grows at its end; a decoder takes what it knows, ignores the
 * rest, and treats missing later fields as 0.  An unknown type of the same major version decodes as itself,
 * without a payload, and is ignored by the receiver.  Everything else that is off is an error, and the
 * receiver drops that peer.
 *
 * Identity never comes from a frame: it is the socket's peer credentials.
 *
 * Nothing here allocates, logs, blocks or decides; all functions are thread safe and async-signal safe.
 */
#ifndef HAKMEM_PROTOCOL_WIRE_H
#define HAKMEM_PROTOCOL_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define HKP_WIRE_MAGIC     0x314d4b48u /* "HKM1" in memory */
#define HKP_WIRE_MAJOR     1
#define HKP_FRAME_MAX      256 /* bytes, header included: no frame is longer */
#define HKP_HEADER_BYTES   16
#define HKP_CLIENT_SOCKET  "client.sock"
#define HKP_CONTROL_SOCKET "control.sock"
#define HKP_RUNTIME_DIR    "/run/hakmemd"
#define HKP_STOPPED_FILE   "stopped" /* there while a daemon of the service manager is stopped on purpose */
#define HKP_BOARD_FILE     "board" /* a 0444 file in the runtime directory, for HAKMEM_CONTROL=inline */

/* Ids stand in decades by theme; a retired id is kept here as a comment and never used again. */
enum hkp_type {
	HKP_HELLO = 10,   /* client -> daemon, with one memfd: its stats segment */
	HKP_BYE = 11,     /* either way: the last frame on this connection */
	HKP_WELCOME = 20, /* daemon -> client, with one memfd: the board; again, without, when `domain` has changed */
	HKP_FLUSH = 30,   /* daemon -> client: give memory back */
	HKP_RESULT = 31,  /* client -> daemon: what a FLUSH or SURVEY with the same seq came to */
	HKP_SURVEY = 32,  /* daemon -> client: bring the figures in the stats segment up to date */
};

enum hkp_status {
	HKP_STATUS_OK = 0,
	HKP_STATUS_PARTIAL = 1, /* some threads stayed pending, or the time was up: ask again */
	HKP_STATUS_ERROR = 2,
};

enum hkp_reason { /* why the daemon asks */
	HKP_REASON_REQUEST = 1,  /* hakmemctl flush */
	HKP_REASON_IDLE = 2,     /* the process has gone quiet */
	HKP_REASON_PRESSURE = 3, /* its cgroup, or the host, is under memory pressure */
};

enum hkp_bye { /* why a side ends the connection */
	HKP_BYE_CLIENT = 1,    /* the client leaves (exit of the control thread) */
	HKP_BYE_STOPPED = 2,   /* the daemon was stopped on purpose: stay away for stay_away_sec */
	HKP_BYE_RESTART = 3,   /* the daemon will be back at once */
	HKP_BYE_QUOTA = 4,     /* too many clients of this uid */
	HKP_BYE_PROTOCOL = 5,  /* the peer broke the protocol */
};

struct hkp_header {
	uint32_t magic;  /* HKP_WIRE_MAGIC */
	uint8_t major;   /* HKP_WIRE_MAJOR */
	uint8_t type;    /* enum hkp_type */
	uint16_t length; /* bytes of the whole frame, equal to the record's */
	uint32_t seq;    /* a RESULT bears the seq of what it answers; else 0 or counting up */
	uint32_t flags;  /* 0 in 1.x; ignored by the receiver */
};

struct hkp_hello {
	uint32_t library_version; /* major << 16 | minor << 8 | patch */
	uint32_t flags;           /* 0 */
	uint64_t stats_bytes;     /* size of the segment sent along */
};

struct hkp_bye_frame {
	uint32_t reason;        /* enum hkp_bye */
	uint32_t stay_away_sec; /* do not connect again before; 0 = as you like */
};

struct hkp_welcome {
	uint64_t client_id;      /* the daemon's name for this connection */
	uint32_t daemon_version; /* as library_version */
	uint32_t flags;          /* 0 */
	uint64_t domain;         /* cgroup whose slot of the board is the client's; 0 = the host's level is all */
};

struct hkp_flush {
	uint32_t level;         /* 0..3: cold, caches, pages, everything */
	uint32_t reason;        /* enum hkp_reason */
	uint64_t target_bytes;  /* stop once this much came back; UINT64_MAX = all there is */
	uint32_t deadline_msec; /* stop after this long and say PARTIAL; 0 = the client's default */
	uint32_t rest_msec;     /* level 0: also of threads that have rested so long; 0 (and in 1.0) = of none */
};

struct hkp_result {
	uint32_t status; /* enum hkp_status */
	uint32_t level;  /* level that was carried out */
	uint64_t released_bytes;
	uint64_t usec;             /* wall time spent */
	uint32_t threads_swept;    /* magazines of that many threads were emptied */
	uint32_t threads_pending;  /* were inside the allocator and could not be emptied yet */
	uint64_t releasable_bytes; /* what level 2 could still return */
	uint64_t first_usec;       /* wall time until the first bytes were returned; 0 = none were */
};

struct hkp_frame {
	struct hkp_header header;
	union {
		struct hkp_hello hello;
		struct hkp_bye_frame bye;
		struct hkp_welcome welcome;
		struct hkp_flush flush;
		struct hkp_result result;
	};
};

/*
 * Encode `frame` (type, seq and the union member of that type are read; magic, major and length are filled
 * in) into `buffer` of `size` bytes.  Returns the frame's length in bytes, or -EINVAL for an unknown type, or
 * -EMSGSIZE where the buffer is too small.  HKP_FRAME_MAX always suffices.
 */
int hkp_encode(const struct hkp_frame *frame, void *buffer, size_t size);

/*
 * Decode one record of `length` bytes into `*ret_frame`; reads nothing beyond it.  Returns 0, or -EBADMSG for
 * a wrong magic, length or a payload shorter than 1.0's, or -EPROTONOSUPPORT for another major version.  An
 * unknown type returns 0 with the header alone.
 */
int hkp_decode(const void *buffer, size_t length, struct hkp_frame *ret_frame);

/* Name of a type, status, reason or level for people and logs; "unknown" for any other number. */
const char *hkp_type_name(unsigned type);
const char *hkp_status_name(unsigned status);
const char *hkp_reason_name(unsigned reason);
const char *hkp_level_name(unsigned level); /* of a flush level: cold, caches, pages, everything */

#endif

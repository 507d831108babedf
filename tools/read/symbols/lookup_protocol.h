/*
 * lookup_protocol.h: the messages between lookup.c and its children.
 *
 * A child looks into the files of one module. It answers over a pair of sockets, one packet a
 * question, one an answer. What it says is checked like bytes of a file: it may have been led
 * astray by one. Texts are NUL-terminated and one after another; what is longer than
 * VMT_LOOKUP_TEXT_BYTES is cut. No struct here has padding: questions are compared as bytes.
 */
#ifndef VMT_LOOKUP_PROTOCOL_H
#define VMT_LOOKUP_PROTOCOL_H

#include "tools/read/symbols/lookup_limits.h"
#include "tools/read/symbols/symbols.h"

#define VMT_LOOKUP_TEXT_BYTES 2048u

enum vmt_lookup_kind { VMT_LOOKUP_RESOLVE, VMT_LOOKUP_GO_MEMBER };

/* Followed by variable and path of a member, with their NULs. */
struct vmt_lookup_question {
	uint32_t kind; /* enum vmt_lookup_kind */
	uint32_t variable_bytes;
	uint64_t address;
};

struct vmt_lookup_frame {
	uint32_t line;
	uint16_t inlined;
	uint16_t is_go;
};

/* Followed by the frames, then by texts: the trouble, then function and file of each frame; empty =
 * not known. */
struct vmt_lookup_answer {
	struct vmt_symbol_place place;
	uint32_t has_debug;
	uint32_t found; /* GO_MEMBER: place is set */
	uint32_t count;
	uint32_t zero;
};

#define VMT_LOOKUP_QUESTION_BYTES (sizeof(struct vmt_lookup_question) + 4096u)
#define VMT_LOOKUP_PACKET_BYTES                                                                    \
	(sizeof(struct vmt_lookup_answer) +                                                        \
	 VMT_SYMBOLS_MAX_INLINED *                                                                 \
	     (sizeof(struct vmt_lookup_frame) + (size_t)2 * VMT_LOOKUP_TEXT_BYTES) +               \
	 VMT_LOOKUP_TEXT_BYTES)

/* How much of a file is still asked for. */
enum vmt_lookup_trust { VMT_LOOKUP_TRUST_ALL, VMT_LOOKUP_TRUST_TABLES, VMT_LOOKUP_TRUST_NONE };

/* The child: answers questions about the module from the socket until that is closed. root and
 * recorded: as symbols.h has them. */
_Noreturn void vmt_lookup_serve(int socket, const char *root,
				const struct vmt_recorded_files *recorded,
				const struct vmt_module *module, enum vmt_lookup_trust trust,
				const struct vmt_lookup_limits *limits);

#endif

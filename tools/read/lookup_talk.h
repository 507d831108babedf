/*
 * lookup_talk.h: what do lookup.c and its child say to each other?
 *
 * One packet a question, one an answer, over a pair of sockets. Answers are checked like bytes of a
 * file: the child may have been led astray by one. Strings are NUL-terminated and one after
 * another; what is longer than VMT_LOOKUP_TEXT_BYTES is cut.
 */
#ifndef VMT_LOOKUP_TALK_H
#define VMT_LOOKUP_TALK_H

#include "tools/read/symbols.h"

#define VMT_LOOKUP_TEXT_BYTES 2048u
#define VMT_LOOKUP_ANSWER_BYTES                                                                    \
	(sizeof(struct vmt_lookup_answer) +                                                        \
	 VMT_LOOKUP_TEXT_BYTES * (2 * VMT_SYMBOLS_MAX_INLINED + 1))

enum vmt_lookup_kind { VMT_LOOKUP_RESOLVE, VMT_LOOKUP_GO_MEMBER };

/* Followed by the module's build-id and path, then by variable and path of a member. */
struct vmt_lookup_question {
	uint32_t kind;	   /* enum vmt_lookup_kind */
	uint32_t distrust; /* leave its debug information alone */
	uint64_t address;
	uint32_t build_id_bytes;
	uint32_t path_bytes;
	uint32_t variable_bytes; /* with its NUL */
	uint32_t member_bytes;	 /* with its NUL */
};

/* Followed by texts: the trouble, then function and file of each frame; empty = not known. */
struct vmt_lookup_answer {
	uint32_t has_debug;
	uint32_t found; /* GO_MEMBER: place is set */
	struct vmt_symbol_place place;
	uint32_t count;
	struct {
		uint32_t line;
		uint8_t inlined;
		uint8_t is_go;
	} frames[VMT_SYMBOLS_MAX_INLINED];
};

#define VMT_LOOKUP_QUESTION_BYTES (sizeof(struct vmt_lookup_question) + 8192u)

/* The child: answers questions from the socket until it is closed; never returns. */
_Noreturn void vmt_lookup_serve(int socket);

#endif

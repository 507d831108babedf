/*
 * emitter.h: writes structured data, as JSON or as lines.
 *
 * One set of calls, two forms: JSON (objects, arrays, every string escaped; bytes that are not
 * UTF-8 become U+FFFD, so that any JSON reader takes it), and lines for people (`key=value`,
 * strings quoted where they hold blanks). Values inside an object carry a key, inside an array
 * NULL. A document begins with an object and ends with its end; the emitter adds the newline.
 * Nesting is at most VMT_EMITTER_DEPTH, a program's error beyond. Output errors stay in the FILE,
 * for vmt_emitter_finish to report. The FILE is the caller's. One thread's.
 */
#ifndef VMT_EMITTER_H
#define VMT_EMITTER_H

#include "tools/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define VMT_EMITTER_DEPTH 16u

enum vmt_emitter_form {
	VMT_EMITTER_JSON_LINES, /* one line a document */
	VMT_EMITTER_JSON,	/* indented */
	VMT_EMITTER_TEXT,
};

struct vmt_emitter {
	FILE *file;
	enum vmt_emitter_form form;
	unsigned depth;
	bool has_value[VMT_EMITTER_DEPTH + 1]; /* a comma is due */
};

void vmt_emitter_begin(struct vmt_emitter *emitter, FILE *file, enum vmt_emitter_form form);
/* Flushes; an error when anything could not be written. */
int vmt_emitter_finish(struct vmt_emitter *emitter, struct vmt_err *err);

void vmt_emitter_object(struct vmt_emitter *emitter, const char *key);
void vmt_emitter_object_end(struct vmt_emitter *emitter);
void vmt_emitter_array(struct vmt_emitter *emitter, const char *key);
void vmt_emitter_array_end(struct vmt_emitter *emitter);

/* NULL is written as null. */
void vmt_emitter_string(struct vmt_emitter *emitter, const char *key, const char *text);
void vmt_emitter_bytes(struct vmt_emitter *emitter, const char *key, const char *text,
		       size_t length);
/* In JSON at most 2^63 - 1, which most of its readers can take; more is written as that. */
void vmt_emitter_u64(struct vmt_emitter *emitter, const char *key, uint64_t value);
void vmt_emitter_i64(struct vmt_emitter *emitter, const char *key, int64_t value);
void vmt_emitter_address(struct vmt_emitter *emitter, const char *key, uint64_t address);
void vmt_emitter_bool(struct vmt_emitter *emitter, const char *key, bool value);

/* A string; in text its key is left out and it is padded to width as printf does (negative: left).
 */
void vmt_emitter_column(struct vmt_emitter *emitter, const char *key, int width, const char *text);

#endif

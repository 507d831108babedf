/*
 * packed_names.h: names that a trace carries with it.
 *
 * What a look into a module's files said of addresses, kept in the trace itself as NAMES chunks
 * (docs/trace-format.md), so that a report needs none of the files. Bytes are untrusted: a payload
 * that makes no sense is refused whole, and so is one that exceeds a bound below. So all of a trace
 * take no more than 512 MiB, their payloads aside. Strings belong to the struct vmt_packed_names.
 * Single-threaded.
 */
#ifndef VMT_PACKED_NAMES_H
#define VMT_PACKED_NAMES_H

#include "format/module_table.h"
#include "tools/read/symbols/symbols.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of all payloads of one trace, decompressed. */
#define VMT_PACKED_NAMES_MAX_BYTES (UINT64_C(128) << 20)
#define VMT_PACKED_NAMES_TEXT_BYTES 2048u /* of one text, with a NUL */

/* Of one trace, whatever its payloads: each takes several times the bytes that it has there. */
#define VMT_PACKED_NAMES_MAX_MODULES 65536u
#define VMT_PACKED_NAMES_MAX_ADDRESSES 1048576u
#define VMT_PACKED_NAMES_MAX_FRAMES 2097152u
#define VMT_PACKED_NAMES_MAX_MEMBERS 4096u
#define VMT_PACKED_NAMES_MAX_TEXTS 4194304u /* of one payload */

/* Bits of a module, and of a frame, as they are stored. */
#define VMT_PACKED_NAMES_HAS_DEBUG 1u
#define VMT_PACKED_NAMES_INLINED 1u
#define VMT_PACKED_NAMES_GO 2u

struct vmt_packed_names;
struct vmt_packed_module;

struct vmt_packed_names *vmt_packed_names_new(void);
void vmt_packed_names_free(struct vmt_packed_names *names);

/* Takes one payload. 0; -EBADMSG: it is none; -E2BIG: beyond a bound; -ENOMEM. After an error only
 * vmt_packed_names_free may follow. */
int vmt_packed_names_read(struct vmt_packed_names *names, const unsigned char *bytes,
			  size_t length);

size_t vmt_packed_names_modules(const struct vmt_packed_names *names);
size_t vmt_packed_names_addresses(const struct vmt_packed_names *names);

/* By build-id and path; NULL: nothing is known of it. */
struct vmt_packed_module *vmt_packed_names_find(struct vmt_packed_names *names,
						const struct vmt_module *wanted);

/* As the functions of symbols.h of these names. */
size_t vmt_packed_names_resolve(struct vmt_packed_module *module, uint64_t address,
				struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED]);
bool vmt_packed_names_go_member(const struct vmt_packed_module *module, const char *variable,
				const char *path, struct vmt_symbol_place *place);
bool vmt_packed_names_has_debug(const struct vmt_packed_module *module);
const char *vmt_packed_names_trouble(const struct vmt_packed_module *module);

/* What there is, one module after another, each with its addresses and members behind it. */
struct vmt_names_visitor {
	int (*module)(void *context, const struct vmt_module *module, bool has_debug,
		      const char *trouble);
	int (*address)(void *context, uint64_t address, const struct vmt_symbol *frames,
		       size_t count);
	int (*member)(void *context, const char *variable, const char *path,
		      const struct vmt_symbol_place *place); /* NULL: there is none */
	int (*end)(void *context); /* of all; what was told before goes after it */
	void *context;
};

/* The first result that is not 0, or 0. */
int vmt_packed_names_visit(struct vmt_packed_module *module,
			   const struct vmt_names_visitor *visitor);

#endif

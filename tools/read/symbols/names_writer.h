/*
 * names_writer.h: writes names as the payloads of NAMES chunks.
 *
 * The other side of packed_names.h: takes modules with their addresses and members, and hands out
 * payloads of about VMT_NAMES_WRITER_PAYLOAD_BYTES, each with the texts that it needs. Texts and
 * frames belong to the caller until the end. Single-threaded.
 */
#ifndef VMT_NAMES_WRITER_H
#define VMT_NAMES_WRITER_H

#include "tools/read/symbols/packed_names.h"

#define VMT_NAMES_WRITER_PAYLOAD_BYTES (8u << 20)

struct vmt_names_writer;

/* take is called with each payload; its error ends the writing. NULL when memory is short. */
struct vmt_names_writer *
vmt_names_writer_new(int (*take)(void *context, const void *payload, size_t length), void *context);
void vmt_names_writer_free(struct vmt_names_writer *writer);

/* What writes all that it visits, the last of it at the end. Errors: -ENOMEM; -E2BIG: more than a
 * reader takes; or that of take. */
struct vmt_names_visitor vmt_names_writer_visitor(struct vmt_names_writer *writer);

#endif

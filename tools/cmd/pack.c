#include "tools/cmd/pack.h"

#include "collect/writer.h"
#include "tools/cmd/output.h"
#include "tools/cmd/progress.h"
#include "tools/read/symbols/names_writer.h"
#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/process_end.h"
#include "tools/read/trace/trace.h"
#include "tools/read/trace/zstd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES (UINT64_C(1) << 20)
#define HOLE_BYTES UINT64_C(4096)

/* A packed copy that is being made. */
struct packing {
	struct vmt_pack *wanted;
	struct vmt_file_reader source;
	struct vmt_writer writer;
	struct vmt_buffer scratch;
	struct vmt_names_visitor write; /* the names, behind those that count them */
	uint64_t end_bytes;		/* of the source: up to here it is copied */
	uint64_t cut_bytes;		/* of it, which no reader takes */
};

/* Where the copy ends: behind the last chunk that is none of names. */
static void
find_end(struct packing *packing, const struct vmt_trace *trace)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);

	while (count > 0 && chunks[count - 1].header.kind == VMT_CHUNK_NAMES)
		count--;
	packing->writer.sequence = count;
	packing->end_bytes = vmt_trace_head(trace)->chunks_offset;
	if (count > 0)
		packing->end_bytes =
		    chunks[count - 1].payload_offset + chunks[count - 1].header.payload_bytes;
	packing->writer.end_bytes = (packing->end_bytes + 7) & ~UINT64_C(7);
	packing->cut_bytes = vmt_trace_loss(trace)->cut_bytes;
}

/* What a program still writes to can't be replaced. */
static int
check(struct packing *packing, struct vmt_err *err)
{
	const char *path = packing->wanted->path;
	struct vmt_trace *trace;
	int result = vmt_trace_open(&trace, path, err);
	const char *end;
	int status;

	if (result < 0)
		return result;
	end = vmt_trace_end(trace, &status);
	if (!packing->wanted->output && (strcmp(end, "running") == 0 || strcmp(end, "ending") == 0))
		result = vmt_err_set(err, EBUSY,
				     "%s: the program still runs, and its trace grows: write a "
				     "packed copy with --output",
				     path);
	find_end(packing, trace);
	vmt_trace_close(trace);
	return result;
}

static int
can_not_write(const struct packing *packing, int code, struct vmt_err *err)
{
	return vmt_err_set(err, code, "can't write the packed copy of %s: %s",
			   packing->wanted->path, strerror(code));
}

/* Whatever is all zeros stays a hole. */
static int
copy_block(const struct packing *packing, const unsigned char *bytes, size_t length,
	   uint64_t offset)
{
	static const unsigned char zeros[HOLE_BYTES];

	for (size_t at = 0, part; at < length; at += part) {
		part = length - at < HOLE_BYTES ? length - at : HOLE_BYTES;
		if (memcmp(bytes + at, zeros, part) == 0)
			continue;
		for (size_t done = 0; done < part;) {
			ssize_t put = pwrite(packing->writer.fd, bytes + at + done, part - done,
					     (off_t)(offset + at + done));

			if (put < 0 && errno != EINTR)
				return -errno;
			done += put > 0 ? (size_t)put : 0;
		}
	}
	return 0;
}

static int
copy_range(struct packing *packing, uint64_t from, uint64_t to, struct vmt_err *err)
{
	int result = 0;

	while (from < to && result == 0) {
		size_t wanted = to - from < COPY_BYTES ? (size_t)(to - from) : (size_t)COPY_BYTES;
		size_t length;
		const unsigned char *bytes =
		    vmt_file_reader_peek(&packing->source, from, wanted, &length);

		if (!bytes)
			return vmt_err_set(err, EIO, "%s: can't be read (did it shrink meanwhile?)",
					   packing->wanted->path);
		length = length < wanted ? length : wanted;
		result = copy_block(packing, bytes, length, from);
		from += length;
	}
	return result < 0 ? can_not_write(packing, -result, err) : 0;
}

/* The head is copied last once more: what it counts was there before it was read. */
static int
copy(struct packing *packing, struct vmt_err *err)
{
	int result = copy_range(packing, 0, packing->end_bytes, err);

	if (result == 0 && ftruncate(packing->writer.fd, (off_t)packing->writer.end_bytes) < 0)
		result = can_not_write(packing, errno, err);
	vmt_file_reader_refresh(&packing->source);
	return result ? result : copy_range(packing, 0, VMT_HEAD_MIN_BYTES, err);
}

static int
append(void *context, const void *payload, size_t length)
{
	struct packing *packing = context;
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_NAMES};
	uint64_t before = packing->writer.end_bytes;
	int result = vmt_writer_append(&packing->writer, &chunk, payload, length);

	packing->wanted->bytes += packing->writer.end_bytes - before;
	return result;
}

static int
count_module(void *context, const struct vmt_module *module, bool has_debug, const char *trouble)
{
	struct packing *packing = context;

	packing->wanted->modules++;
	packing->wanted->nameless += trouble != NULL;
	return packing->write.module(packing->write.context, module, has_debug, trouble);
}

static int
count_address(void *context, uint64_t address, const struct vmt_symbol *frames, size_t count)
{
	struct packing *packing = context;

	packing->wanted->addresses++;
	return packing->write.address(packing->write.context, address, frames, count);
}

static int
write_member(void *context, const char *variable, const char *path,
	     const struct vmt_symbol_place *place)
{
	struct packing *packing = context;

	return packing->write.member(packing->write.context, variable, path, place);
}

static int
end_names(void *context)
{
	struct packing *packing = context;

	return packing->write.end(packing->write.context);
}

/* A report is made, which asks for whatever a report may need. */
static int
append_names(struct packing *packing, struct vmt_err *err)
{
	struct vmt_names_writer *writer = vmt_names_writer_new(append, packing);
	const struct vmt_names_visitor all = {count_module, count_address, write_member, end_names,
					      packing};
	const struct vmt_report_options options = {
	    .symbols = true, .sysroot = packing->wanted->sysroot, .all_names = &all};
	struct vmt_report *report = NULL;
	int result;

	if (!writer)
		return vmt_err_set(err, ENOMEM, "out of memory");
	packing->write = vmt_names_writer_visitor(writer);
	result = vmt_progress_build(&report, packing->wanted->path, &options, err);
	if (result == 0 && report->packed.are_damaged)
		fprintf(stderr,
			"vmtrace: %s: the names that it carried are damaged and were dropped\n",
			packing->wanted->path);
	vmt_report_free(report);
	vmt_names_writer_free(writer);
	return result;
}

/* What no reader takes counts as cut there, too; its bytes mean nothing. */
static int
finish(struct packing *packing, struct vmt_err *err)
{
	uint64_t bytes = packing->writer.end_bytes + packing->cut_bytes;

	if (ftruncate(packing->writer.fd, (off_t)bytes) < 0)
		return can_not_write(packing, errno, err);
	return 0;
}

/* The copy is for those who may read the trace; another group is none of them. */
static void
share(const struct packing *packing)
{
	struct stat source, copy;

	if (fstat(packing->source.fd, &source) == 0 && fstat(packing->writer.fd, &copy) == 0)
		(void)fchmod(packing->writer.fd,
			     source.st_mode & (source.st_gid == copy.st_gid ? 0777 : 0707));
}

static int
write_copy(struct packing *packing, struct vmt_output *output, struct vmt_err *err)
{
	int result;

	packing->writer.fd = fileno(output->file);
	packing->writer.compress = vmt_zstd_compress;
	packing->writer.packed = &packing->scratch;
	share(packing);
	result = copy(packing, err);
	if (result == 0)
		result = append_names(packing, err);
	return result ? result : finish(packing, err);
}

static int
write_output(struct packing *packing, struct vmt_err *err)
{
	const struct vmt_pack *pack = packing->wanted;
	const char *inputs[] = {pack->output ? pack->path : NULL, NULL};
	struct vmt_output output;
	int result = vmt_output_open(&output, pack->output ? pack->output : pack->path, true, true,
				     inputs, err);

	if (result < 0)
		return result;
	result = write_copy(packing, &output, err);
	return vmt_output_close(&output, result, err);
}

int
vmt_pack_write(struct vmt_pack *pack, struct vmt_err *err)
{
	struct packing packing = {.wanted = pack, .source.fd = -1};
	int result = check(&packing, err);

	if (result == 0)
		result = vmt_file_reader_open(&packing.source, pack->path, err);
	if (result == 0 && packing.source.was_compressed && !pack->output)
		result =
		    vmt_err_set(err, ENOTSUP,
				"%s: is compressed: write a packed copy with --output", pack->path);
	if (result == 0)
		result = write_output(&packing, err);
	vmt_file_reader_close(&packing.source);
	vmt_buffer_free(&packing.scratch);
	return result;
}

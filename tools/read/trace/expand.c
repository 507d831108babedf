#include "tools/read/trace/expand.h"

#include "format/head.h"
#include "tools/read/trace/zstd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define STEP_BYTES (1u << 20)
#define HOLE_BYTES 4096u
#define GZIP_WINDOW (15 + 16) /* zlib.h: a gzip header, the largest window */

enum form { PLAIN, GZIP, ZSTD };

/* A file that is expanded. */
struct expansion {
	const char *path;
	enum form form;
	int from;
	int to;
	uint64_t compressed_bytes;
	uint64_t taken_bytes;
	uint64_t whole_bytes; /* written, with holes */
	uint64_t data_bytes;  /* of these, without */
	z_stream gzip;
	struct vmt_zstd_stream *zstd;
	bool is_done; /* at the end of a frame: more may follow */
	unsigned char *input;
	size_t input_at;
	size_t input_bytes;
	unsigned char *output;
};

static enum form
form_of(int fd)
{
	static const unsigned char gzip[] = {0x1f, 0x8b, 8};	      /* RFC 1952 */
	static const unsigned char zstd[] = {0x28, 0xb5, 0x2f, 0xfd}; /* RFC 8878 */
	unsigned char bytes[4];

	if (pread(fd, bytes, sizeof(bytes), 0) != sizeof(bytes))
		return PLAIN;
	if (memcmp(bytes, gzip, sizeof(gzip)) == 0)
		return GZIP;
	return memcmp(bytes, zstd, sizeof(zstd)) == 0 ? ZSTD : PLAIN;
}

static int
open_temporary(void)
{
	const char *const places[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		int fd = places[i] && *places[i]
			     ? open(places[i], O_RDWR | O_TMPFILE | O_CLOEXEC, 0600)
			     : -1;

		if (fd >= 0)
			return fd;
	}
	return memfd_create("vmtrace", MFD_CLOEXEC);
}

static int
refuse(const struct expansion *expansion, int code, const char *why, struct vmt_err *err)
{
	return vmt_err_set(err, code, "%s: %s", expansion->path, why);
}

static int
damaged(const struct expansion *expansion, struct vmt_err *err)
{
	return vmt_err_set(err, EBADMSG,
			   "%s: is compressed, and cut or damaged: it ends after %llu bytes of the "
			   "trace",
			   expansion->path, (unsigned long long)expansion->whole_bytes);
}

static bool
fill(struct expansion *expansion)
{
	ssize_t got;

	if (expansion->input_at < expansion->input_bytes)
		return true;
	do
		got = read(expansion->from, expansion->input, STEP_BYTES);
	while (got < 0 && errno == EINTR);
	expansion->input_at = 0;
	expansion->input_bytes = got > 0 ? (size_t)got : 0;
	expansion->taken_bytes += expansion->input_bytes;
	return got > 0;
}

/* As much as there is room for; false: no such data. */
static bool
inflate_gzip(struct expansion *expansion, size_t *length)
{
	z_stream *gzip = &expansion->gzip;
	int result;

	/* One member may follow another. */
	if (expansion->is_done && inflateReset(gzip) != Z_OK)
		return false;
	gzip->next_in = expansion->input + expansion->input_at;
	gzip->avail_in = (unsigned)(expansion->input_bytes - expansion->input_at);
	gzip->next_out = expansion->output;
	gzip->avail_out = STEP_BYTES;
	result = inflate(gzip, Z_NO_FLUSH);
	expansion->input_at = expansion->input_bytes - gzip->avail_in;
	*length = STEP_BYTES - gzip->avail_out;
	expansion->is_done = result == Z_STREAM_END;
	return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
}

static bool
inflate_zstd(struct expansion *expansion, size_t *length)
{
	*length = STEP_BYTES;
	return vmt_zstd_stream_step(expansion->zstd, expansion->input, expansion->input_bytes,
				    &expansion->input_at, expansion->output, length,
				    &expansion->is_done);
}

static int
write_block(const struct expansion *expansion, const unsigned char *bytes, size_t length,
	    uint64_t offset)
{
	for (size_t done = 0; done < length;) {
		ssize_t put =
		    pwrite(expansion->to, bytes + done, length - done, (off_t)(offset + done));

		if (put < 0 && errno != EINTR)
			return errno;
		done += put > 0 ? (size_t)put : 0;
	}
	return 0;
}

static int
write_data(struct expansion *expansion, size_t length, struct vmt_err *err)
{
	static const unsigned char zeros[HOLE_BYTES];

	for (size_t at = 0, part; at < length; at += part) {
		int code;

		part = length - at < HOLE_BYTES ? length - at : HOLE_BYTES;
		if (memcmp(expansion->output + at, zeros, part) == 0)
			continue;
		expansion->data_bytes += part;
		code = write_block(expansion, expansion->output + at, part,
				   expansion->whole_bytes + at);
		if (code)
			return vmt_err_set(err, code,
					   "%s: can't be decompressed: %s (TMPDIR names another "
					   "place)",
					   expansion->path, strerror(code));
	}
	expansion->whole_bytes += length;
	return 0;
}

/* By now; the first bytes say whether it can be a trace at all. */
static int
check(const struct expansion *expansion, bool is_first, size_t length, struct vmt_err *err)
{
	uint64_t more = expansion->compressed_bytes * VMT_EXPAND_RATIO;
	static const char magic[] = VMT_MAGIC;
	size_t known = length < sizeof(magic) ? length : sizeof(magic);

	if (is_first && memcmp(expansion->output, magic, known) != 0)
		return refuse(expansion, EBADMSG, "is compressed, and holds no vmtrace trace", err);
	if (expansion->data_bytes > VMT_EXPAND_DATA_BYTES + more ||
	    expansion->whole_bytes > VMT_EXPAND_WHOLE_BYTES + more)
		return vmt_err_set(err, E2BIG,
				   "%s: %llu bytes that expand to more than %llu: no trace does",
				   expansion->path, (unsigned long long)expansion->compressed_bytes,
				   (unsigned long long)expansion->whole_bytes);
	return 0;
}

static int
expand(struct expansion *expansion, struct vmt_err *err)
{
	int result = 0;

	expansion->is_done = false;
	while (result == 0 && fill(expansion)) {
		bool is_first = expansion->whole_bytes == 0;
		size_t length = 0;

		if (!(expansion->form == GZIP ? inflate_gzip(expansion, &length)
					      : inflate_zstd(expansion, &length)))
			return damaged(expansion, err);
		if (length == 0)
			continue;
		result = check(expansion, is_first, length, err);
		if (result == 0)
			result = write_data(expansion, length, err);
	}
	if (result == 0 && !expansion->is_done)
		result = damaged(expansion, err);
	if (result == 0 && ftruncate(expansion->to, (off_t)expansion->whole_bytes) < 0)
		result = refuse(expansion, errno, strerror(errno), err);
	return result;
}

static bool
set_up(struct expansion *expansion)
{
	expansion->input = malloc(STEP_BYTES);
	expansion->output = malloc(STEP_BYTES);
	if (expansion->form == ZSTD)
		expansion->zstd = vmt_zstd_stream_new();
	return expansion->input && expansion->output &&
	       (expansion->form == GZIP ? inflateInit2(&expansion->gzip, GZIP_WINDOW) == Z_OK
					: expansion->zstd != NULL);
}

static void
tear_down(struct expansion *expansion)
{
	if (expansion->form == GZIP)
		inflateEnd(&expansion->gzip);
	vmt_zstd_stream_free(expansion->zstd);
	free(expansion->input);
	free(expansion->output);
}

bool
vmt_expand_is_wanted(int fd)
{
	return form_of(fd) != PLAIN;
}

bool
vmt_expand_is_wanted_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool is = fd >= 0 && vmt_expand_is_wanted(fd);

	if (fd >= 0)
		close(fd);
	return is;
}

int
vmt_expand_file(int *fd, const char *path, bool *was_compressed, struct vmt_err *err)
{
	struct expansion expansion = {.path = path, .form = form_of(*fd), .from = *fd};
	struct stat status;
	int result;

	*was_compressed = expansion.form != PLAIN;
	if (!*was_compressed)
		return 0;
	if (fstat(*fd, &status) < 0 || (expansion.to = open_temporary()) < 0)
		return vmt_err_set(err, errno,
				   "%s: no place to decompress it (TMPDIR names one): %s", path,
				   strerror(errno));
	expansion.compressed_bytes = (uint64_t)status.st_size;
	result = set_up(&expansion) ? expand(&expansion, err)
				    : refuse(&expansion, ENOMEM, "no memory to decompress it", err);
	tear_down(&expansion);
	if (result != 0) {
		close(expansion.to);
		return result;
	}
	close(*fd);
	*fd = expansion.to;
	return 0;
}

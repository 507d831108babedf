/*
 * make_corpus.c: what the fuzzers start from.
 *
 * make_corpus DIRECTORY writes a directory for each fuzzer. Traces: the sample of the unit tests
 * whole, with compressed chunks, without its end, without any chunk (what the rings and tables
 * alone lead to), with a Go runtime's counters. Tables of Go functions of each version. Small
 * programs: the C compiler's, where there is one. One text and one table for each small parser.
 */
#include "tests/unit/go_table.h"
#include "tests/unit/sample_trace.h"

#include "tools/read/zstd.h"

#include <errno.h>
#include <sys/stat.h>

static const char *root;

static size_t
compress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	return vmt_zstd_compress(NULL, dst, dst_bytes, src, src_bytes);
}

static void
write_seed(const char *target, const char *name, const void *bytes, size_t length)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s/%s", root, target, name);
	build_trace_write_bytes(path, bytes, length);
}

static void
write_traces(void)
{
	struct build_trace *plain = sample_trace_new(NULL);
	struct build_trace *packed = sample_trace_new(compress);

	write_seed("trace", "whole", plain->bytes, plain->length);
	write_seed("trace", "packed", packed->bytes, packed->length);
	write_seed("trace", "no-end", plain->bytes, plain->last_chunk);
	write_seed("trace", "no-chunks", plain->bytes, build_trace_head(plain)->chunks_offset);
	sample_trace_add_go(plain);
	write_seed("trace", "go", plain->bytes, plain->length);
	build_trace_free(plain);
	build_trace_free(packed);
}

static void
write_go_tables(void)
{
	for (unsigned version = VMT_GOPCLNTAB_1_2; version <= VMT_GOPCLNTAB_1_20; version++) {
		unsigned char bytes[sizeof(((struct go_table *)NULL)->inlines) + GO_TABLE_BYTES];
		struct go_table table;
		char name[16];

		go_table_make(&table, (enum vmt_gopclntab_version)version, true);
		memcpy(bytes, table.inlines, sizeof(table.inlines));
		memcpy(bytes + sizeof(table.inlines), table.bytes, table.length);
		snprintf(name, sizeof(name), "version-%u", version);
		write_seed("gopclntab", name, bytes, sizeof(table.inlines) + table.length);
	}
}

static void
write_programs(void)
{
	static const char *const flags[] = {"-g -O1", "-gdwarf-4 -gz -O1", "-s",
					    "-static-pie -nostdlib"};
	static const char name[] = "_ZN3foo3barIiEEvRKSt6vectorIT_SaIS2_EE";

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		char command[1024];

		snprintf(command, sizeof(command),
			 "echo 'int twice(int n) { return 2 * n; } int _start(void) "
			 "{ return twice(3); }' | cc %s -nostartfiles -nostdlib -x c - -o "
			 "%s/symbols/program-%zu",
			 flags[i], root, i);
		if (system(command) != 0)
			fprintf(stderr, "make_corpus: no program with %s\n", flags[i]);
	}
	write_seed("symbols", "name", name, sizeof(name) - 1);
	write_seed("symbols", "rust", "_RNvC7mycrate3foo", 17);
}

/* The first byte chooses the parser, as in fuzz_bytes.c. */
static void
write_bytes(unsigned char parser, const void *bytes, size_t length)
{
	unsigned char seed[4096] = {parser};
	char name[16];

	assert_true(length < sizeof(seed));
	memcpy(seed + 1, bytes, length);
	snprintf(name, sizeof(name), "parser-%u", parser);
	write_seed("bytes", name, seed, length + 1);
}

static void
write_small(void)
{
	static const char proc[] =
	    "00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/dbus-daemon\n"
	    "Rss: 12 kB\nLazyFree: 4 kB\n1 2 3 4 5 6 7\n"
	    "0::/user.slice\n29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
	struct build_trace *build = sample_trace_new(NULL);
	const struct vmt_head *head = build_trace_head(build);
	size_t at = head->chunks_offset + sizeof(struct vmt_chunk);

	write_bytes(0, build->bytes + at, 60);
	write_bytes(1, build->bytes + at, 60);
	write_bytes(2, build->bytes + at, 200);
	write_bytes(3, build->bytes + head->modules_offset, head->modules_used);
	write_bytes(4, build->bytes + head->stack_words_offset, head->stack_words_used * 8);
	write_bytes(5, proc, sizeof(proc) - 1);
	write_bytes(6, "64.5KiB", 7);
	build_trace_free(build);
}

int
main(int argc, char **argv)
{
	static const char *const targets[] = {"", "trace", "gopclntab", "symbols", "bytes"};

	if (argc != 2) {
		fprintf(stderr, "usage: make_corpus DIRECTORY\n");
		return 1;
	}
	root = argv[1];
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", root, targets[i]);
		if (mkdir(path, 0777) < 0 && errno != EEXIST) {
			perror(path);
			return 1;
		}
	}
	write_traces();
	write_go_tables();
	write_programs();
	write_small();
	return 0;
}

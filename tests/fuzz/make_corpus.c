/*
 * make_corpus.c: what the fuzzers start from.
 *
 * make_corpus DIRECTORY writes a directory for each fuzzer. Traces: the sample of the unit tests
 * whole, with compressed chunks, without its end, without any chunk (what the rings and tables
 * alone lead to), with sampled page faults, with a Go runtime's counters, with its regions
 * elsewhere, thinned and full. Tables of Go functions of each version, and Go processes. Small
 * programs, and the debug information of some: the compilers', where there are any. One text and
 * one table for each small parser, and requests.
 */
#include "tests/fuzz/dwarf_input.h"
#include "tests/fuzz/go_heap_objects.h"
#include "tests/fuzz/make_go_heap.h"
#include "tests/fuzz/seal_trace.h"
#include "tests/unit/go_table.h"
#include "tests/unit/moved_regions.h"
#include "tests/unit/sample_trace.h"

#include "tools/read/trace/zstd.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* As the collector writes a trace that must not grow: every chunk of events one level further. */
static void
write_thinned(void)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_head *head = build_trace_head(build);
	uint64_t at = head->chunks_offset;
	struct vmt_chunk chunk;
	unsigned char *found;
	uint32_t level = 0;

	head->features |= VMT_FEATURE_THINNED;
	head->max_bytes = UINT64_C(2) << 30;
	while ((found = seal_trace_next(build->bytes, build->length, &at, &chunk)) != NULL) {
		if (chunk.kind != VMT_CHUNK_EVENTS)
			continue;
		chunk.flags |= (uint16_t)(level++ << VMT_CHUNK_THIN_SHIFT);
		chunk.position_to += level * 10;
		memcpy(found, &chunk, sizeof(chunk));
	}
	seal_trace(build->bytes, build->length);
	write_seed("trace", "thinned", build->bytes, build->length);
	head->full_since = head->clock_start.ticks + 1000;
	write_seed("trace", "full", build->bytes, build->length);
	build_trace_free(build);
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
	sample_trace_add_touch(plain);
	write_seed("trace", "touch", plain->bytes, plain->length);
	sample_trace_add_go(plain);
	write_seed("trace", "go", plain->bytes, plain->length);
	moved_regions(plain, sizeof(struct vmt_head));
	write_seed("trace", "moved", plain->bytes, plain->length);
	write_thinned();
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

/* Processes that ran once (dump_go_heap.c). */
static void
copy_processes(void)
{
	char command[1200];

	snprintf(command, sizeof(command), "cp tests/fuzz/processes/* %s/go_heap/", root);
	if (system(command) != 0)
		fprintf(stderr, "make_corpus: no Go process that ran\n");
}

static void
write_go_heaps(void)
{
	unsigned char input[MAKE_GO_HEAP_BYTES];
	char name[16];

	for (unsigned i = 0; i < sizeof(image_versions) / sizeof(*image_versions); i++) {
		size_t length = make_go_heap(input, i);

		assert_true(length <= sizeof(input));
		snprintf(name, sizeof(name), "version-%u", i);
		if (length != 0)
			write_seed("go_heap", name, input, length);
	}
	copy_processes();
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

/* A section's bytes behind their length; none where the program has no such section. */
static size_t
take_section(const char *program, const char *section, unsigned char *input, size_t room)
{
	char command[4096];
	size_t length = 0;
	FILE *file;

	snprintf(command, sizeof(command),
		 "objcopy --dump-section %s=%s.section %s %s.copy 2>/dev/null && cat %s.section "
		 "2>/dev/null; rm -f %s.section %s.copy",
		 section, program, program, program, program, program, program);
	file = popen(command, "r");
	if (file) {
		length = fread(input + 2, 1, room - 2 < 0xffff ? room - 2 : 0xffff, file);
		pclose(file);
	}
	input[0] = (unsigned char)length;
	input[1] = (unsigned char)(length >> 8);
	return 2 + length;
}

/* C and C++, with inlined calls, types within namespaces, ranges apart, files of their own. */
static void
write_dwarf(void)
{
	static const char *const compilers[] = {
	    "cc -gdwarf-5 -O1 -x c",	"cc -gdwarf-4 -O2 -x c",
	    "c++ -gdwarf-5 -O1 -x c++", "cc -gdwarf-5 -gsplit-dwarf -O1 -x c",
	    "clang -gdwarf-5 -O1 -x c", "cc -gdwarf-4 -O2 -ffunction-sections -x c",
	    "c++ -gdwarf-4 -O2 -x c++",
	};
	static const char c_code[] =
	    "volatile int x; struct pair { int a, b[4]; } main_state;"
	    "static inline __attribute__((always_inline)) void in(int n) { if (n) x += n; }"
	    "__attribute__((noinline)) int twice(int n) { in(n); in(n + x); return 2 * n; }"
	    "__attribute__((cold)) int rare(int n) { return x / n; }"
	    "EXTERN int _start(void) { in(7); return x > 3 ? rare(x) : twice(3); }";
	static const char cxx_code[] =
	    "namespace outer { namespace { struct S { template<class T> int get(T n); int v; }; }"
	    "template<class T> int S::get(T n) { return v + (int)n; } } outer::S s;";
	unsigned char *input = malloc(DWARF_INPUT_SECTIONS * 65540);

	for (size_t i = 0; input && i < sizeof(compilers) / sizeof(*compilers); i++) {
		bool is_cxx = strstr(compilers[i], "c++") != NULL;
		char command[2400];
		char program[512];
		char name[16];
		size_t length = 0;

		snprintf(program, sizeof(program), "%s/made", root);
		snprintf(command, sizeof(command),
			 "echo '%s %s' | sed 's/EXTERN/%s/' | %s - -nostdlib -static -fno-pie "
			 "-no-pie -Wl,-Ttext=0x%x -o %s 2>/dev/null",
			 is_cxx ? cxx_code : "", c_code, is_cxx ? "extern \"C\"" : "", compilers[i],
			 DWARF_INPUT_CODE, program);
		if (system(command) != 0) {
			fprintf(stderr, "make_corpus: no program by %s\n", compilers[i]);
			continue;
		}
		for (size_t k = 0; k < DWARF_INPUT_SECTIONS; k++)
			length +=
			    take_section(program, dwarf_input_sections[k], input + length, 65540);
		snprintf(name, sizeof(name), "program-%zu", i);
		write_seed("dwarf", name, input, length);
		snprintf(command, sizeof(command), "rm -f %s*", program);
		if (system(command) != 0)
			fprintf(stderr, "make_corpus: %s is left\n", program);
	}
	free(input);
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

/* Texts, as fuzz_request.c takes them. */
static void
write_requests(void)
{
	static const char heap[] =
	    "a.example,b\0a-token-of-some-length\0[::1]:9757\0Bearer a-token-of-some-length\0"
	    "/debug/pprof/heap\0pid\0"
	    "4711\0exe\0redis-server\0seconds\0"
	    "30";
	static const char targets[] = "a.example\0token\0a.example:80\0basic x\0/sd";
	static const char page[] = "\0\0"
				   "127.0.0.1:9757\0\0/\0pid\0"
				   "1";

	write_seed("request", "heap", heap, sizeof(heap));
	write_seed("request", "targets", targets, sizeof(targets));
	write_seed("request", "page", page, sizeof(page));
}

int
main(int argc, char **argv)
{
	static const char *const targets[] = {"",	 "trace", "gopclntab", "go_heap",
					      "symbols", "dwarf", "bytes",     "request"};

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
	write_go_heaps();
	write_programs();
	write_dwarf();
	write_small();
	write_requests();
	return 0;
}

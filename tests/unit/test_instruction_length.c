/* Against objdump: real code, and every opcode with most of its operands. */
#include "inject/instruction_length.h"

#include <dlfcn.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/soak.h"

/* An instruction as objdump prints it. */
struct line {
	uint64_t address;
	uint8_t bytes[32];
	size_t length;
	char text[512];
};

struct tally {
	uint64_t equal;
	uint64_t unequal;
	uint64_t unknown_to_objdump;
};

/* Words that objdump prints before a mnemonic, or in the place of one where no instruction is. */
static bool
is_prefix_word(const char *word, size_t length)
{
	static const char *const words[] = {
	    "data16", "addr32", "lock", "rep", "repz", "repnz",	  "cs",	      "ds",
	    "es",     "ss",	"fs",	"gs",  "bnd",  "notrack", "xacquire", "xrelease"};

	if (length >= 3 && memcmp(word, "rex", 3) == 0)
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == length && memcmp(word, words[i], length) == 0)
			return true;
	return false;
}

/* The text from the mnemonic on; "" where there are prefixes alone. */
static const char *
mnemonic_of(const char *text)
{
	for (;;) {
		size_t length;

		text += strspn(text, " ");
		length = strcspn(text, " \n");
		if (length == 0 || !is_prefix_word(text, length))
			return text;
		text += length;
	}
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static enum vmt_instruction_flow
flow_of(const char *mnemonic)
{
	const char *operand = mnemonic + strcspn(mnemonic, " \n");

	operand += strspn(operand, " ");
	if (begins(mnemonic, "call") || begins(mnemonic, "lcall"))
		return *operand == '*' ? VMT_FLOW_CALL_INDIRECT : VMT_FLOW_CALL;
	if (begins(mnemonic, "jmp") || begins(mnemonic, "ljmp"))
		return *operand == '*' ? VMT_FLOW_JUMP_INDIRECT : VMT_FLOW_JUMP;
	if (*mnemonic == 'j' || begins(mnemonic, "loop") || begins(mnemonic, "xbegin"))
		return VMT_FLOW_BRANCH;
	if (begins(mnemonic, "ret") || begins(mnemonic, "lret") || begins(mnemonic, "iret") ||
	    begins(mnemonic, "sysret") || begins(mnemonic, "sysexit"))
		return VMT_FLOW_RETURN;
	if (begins(mnemonic, "syscall"))
		return VMT_FLOW_SYSCALL;
	if (begins(mnemonic, "int3") || begins(mnemonic, "int1") || begins(mnemonic, "hlt") ||
	    begins(mnemonic, "ud0") || begins(mnemonic, "ud1") || begins(mnemonic, "ud2"))
		return VMT_FLOW_STOP;
	return VMT_FLOW_ON;
}

static bool
target_is_right(const struct vmt_instruction *read, const struct line *line, const char *mnemonic)
{
	uint64_t target = line->address + read->length + (uint64_t)(int64_t)read->distance;

	return strtoull(mnemonic + strcspn(mnemonic, " \n"), NULL, 16) == target;
}

/* What objdump writes behind "#" is the operand's address. */
static bool
operand_is_right(const struct vmt_instruction *read, const struct line *line)
{
	const char *comment = strchr(line->text, '#');
	int32_t displacement;

	if (!strstr(line->text, "(%rip)") && !strstr(line->text, "(%eip)"))
		return read->rip_displacement_at == 0;
	if (read->rip_displacement_at == 0 || read->rip_displacement_at + 4u > read->length)
		return false;
	memcpy(&displacement, line->bytes + read->rip_displacement_at, sizeof(displacement));
	return !comment || strstr(line->text, "(%eip)") ||
	       strtoull(comment + 1, NULL, 16) ==
		   line->address + read->length + (uint64_t)(int64_t)displacement;
}

static bool
is_right(const struct line *line, const char *mnemonic)
{
	/* objdump takes fwait for a prefix; to the processor it is an instruction of its own. */
	bool is_wait = line->bytes[0] == 0x9b && line->length > 1;
	size_t length = is_wait ? 1 : line->length;
	struct vmt_instruction read;
	struct vmt_instruction cut_off;

	if (vmt_instruction_length_read(line->bytes, length, &read) != length ||
	    vmt_instruction_length_read(line->bytes, length - 1, &cut_off) != 0)
		return false;
	if (is_wait)
		return read.flow == VMT_FLOW_ON;
	return read.length == length && read.flow == flow_of(mnemonic) &&
	       operand_is_right(&read, line) &&
	       (!vmt_instruction_has_target(&read) || target_is_right(&read, line, mnemonic));
}

/* False: no line of an instruction. */
static bool
parse(char *text, struct line *line)
{
	char *end;
	char *at;

	line->address = strtoull(text, &end, 16);
	if (end == text || end[0] != ':' || end[1] != '\t')
		return false;
	line->length = 0;
	for (at = end + 2; line->length < sizeof(line->bytes); at = end) {
		unsigned long byte = strtoul(at, &end, 16);

		if (end != at + 2 || *end != ' ')
			break;
		line->bytes[line->length++] = (uint8_t)byte;
		end++;
	}
	at = strchr(at, '\t');
	if (!at || line->length == 0)
		return false;
	snprintf(line->text, sizeof(line->text), "%s", at + 1);
	return true;
}

/* A near branch with an operand size prefix: objdump reads it as AMD does. */
static bool
is_read_in_two_ways(const struct line *line, const char *mnemonic)
{
	enum vmt_instruction_flow flow = flow_of(mnemonic);
	struct vmt_instruction read;

	return memchr(line->bytes, 0x66, line->length - 1) != NULL &&
	       (flow == VMT_FLOW_CALL || flow == VMT_FLOW_BRANCH || flow == VMT_FLOW_JUMP) &&
	       vmt_instruction_length_read(line->bytes, line->length, &read) == 0;
}

static void
compare(const struct line *line, struct tally *tally)
{
	const char *mnemonic = mnemonic_of(line->text);

	if (is_read_in_two_ways(line, mnemonic) || strstr(line->text, "(bad)") ||
	    *mnemonic == '\0' || *mnemonic == '\n') {
		tally->unknown_to_objdump++;
	} else if (is_right(line, mnemonic)) {
		tally->equal++;
	} else if (tally->unequal++ < 20) {
		struct vmt_instruction read;
		size_t length = vmt_instruction_length_read(line->bytes, line->length, &read);

		fprintf(stderr, "%zu, flow %u, target %d, not as objdump:", length, read.flow,
			read.distance);
		for (size_t i = 0; i < line->length; i++)
			fprintf(stderr, " %02x", line->bytes[i]);
		fprintf(stderr, " %s", line->text);
	}
}

/* Each instruction that objdump prints. choose: which lines, or NULL. */
static struct tally
compare_output(const char *command, bool (*choose)(const struct line *line))
{
	struct tally tally = {0};
	FILE *output = popen(command, "r");
	char text[1024];
	struct line line;

	assert_non_null(output);
	while (fgets(text, sizeof(text), output))
		if (parse(text, &line) && (!choose || choose(&line)))
			compare(&line, &tally);
	assert_int_equal(pclose(output), 0);
	return tally;
}

/* A file's code: all of it, or its first instructions. */
static void
check_file(const char *path, uint64_t at_least)
{
	char command[600];
	struct tally tally;

	snprintf(command, sizeof(command), "objdump -d -w '%s' | head -n %ld", path,
		 soak_count(150000, 1000000000));
	tally = compare_output(command, NULL);
	print_message("%s: %lu equal, %lu unequal, %lu that objdump does not know\n", path,
		      tally.equal, tally.unequal, tally.unknown_to_objdump);
	assert_int_equal(tally.unequal, 0);
	assert_true(tally.equal >= at_least);
	assert_true(tally.unknown_to_objdump <= tally.equal / 100);
}

static bool
have_objdump(void)
{
#if defined(__x86_64__)
	return system("command -v objdump >/dev/null") == 0;
#else
	return false;
#endif
}

#define OBJDUMP_NEEDED()                                                                           \
	do {                                                                                       \
		if (!have_objdump()) {                                                             \
			print_message("no objdump for x86-64 here: nothing to compare with\n");    \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* Files by patterns: at least one of them must be there. */
static void
check_files(const char *const *patterns, const char *what, uint64_t at_least)
{
	glob_t found = {0};
	long most = soak_count(5, 1000);

	OBJDUMP_NEEDED();
	for (; *patterns; patterns++)
		glob(*patterns, found.gl_pathc ? GLOB_APPEND : 0, NULL, &found);
	if (found.gl_pathc == 0) {
		globfree(&found);
		print_message("no %s on this machine\n", what);
		skip();
	}
	for (size_t i = 0; i < found.gl_pathc && (long)i < most; i++)
		check_file(found.gl_pathv[i], at_least);
	globfree(&found);
}

static void
the_c_library_has_the_lengths_that_objdump_says(void **state)
{
	Dl_info info;

	(void)state;
	OBJDUMP_NEEDED();
	assert_true(dladdr((void *)(uintptr_t)getpid, &info) != 0);
	check_file(info.dli_fname[0] == '/' ? info.dli_fname : "/proc/self/exe", 1000);
	check_files((const char *const[]){"/lib/x86_64-linux-gnu/libc.so.6",
					  "/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib64/libc.so.6",
					  NULL},
		    "libc.so.6 in a known place", 100000);
}

static void
musl_has_them(void **state)
{
	(void)state;
	check_files((const char *const[]){"/usr/lib/x86_64-linux-musl/libc.so",
					  "/lib/ld-musl-x86_64.so.1", NULL},
		    "musl", 50000);
}

static void
go_programs_have_them(void **state)
{
	(void)state;
	check_files((const char *const[]){"/opt/go-debian/*/usr/lib/go-*/bin/go",
					  "/usr/lib/go-*/bin/go",
					  "/opt/go-debian/*/usr/lib/go-*/bin/gofmt",
					  "/opt/go-debian/*/usr/lib/go-*/pkg/tool/*/compile", NULL},
		    "Go program", 100000);
}

static void
rust_programs_have_them(void **state)
{
	char pattern[400] = "";
	FILE *output = popen("rustc --print sysroot 2>/dev/null", "r");

	(void)state;
	assert_non_null(output);
	if (!fgets(pattern, 300, output))
		pattern[0] = '\0';
	pclose(output);
	if (pattern[0] == '\0') {
		print_message("no Rust on this machine\n");
		skip();
	}
	strcpy(strchr(pattern, '\n'), "/lib/librustc_driver-*.so");
	check_files((const char *const[]){pattern, NULL}, "Rust library", 100000);
}

/* Each instruction made by hand has a slot of its own, filled up with nop: whatever its length is,
 * the next slot begins with an instruction. */
#define SLOT_BYTES 16u

static bool
begins_slot(const struct line *line)
{
	/* VEX behind a prefix that it must not have: objdump shows it, the processor refuses it. */
	static const uint8_t wrong_vector[] = {0xc5, 0xf8};
	bool is_wait = line->bytes[0] == 0x9b || line->bytes[1] == 0x9b;
	bool is_rex2 = line->bytes[1] == 0xd5 || line->bytes[2] == 0xd5; /* known to a newer one */

	return line->address % SLOT_BYTES == 0 && !is_wait && !is_rex2 &&
	       memcmp(line->bytes + 1, wrong_vector, 2) != 0 &&
	       memcmp(line->bytes + 2, wrong_vector, 2) != 0;
}

struct beginning {
	uint8_t bytes[6];
	uint8_t count;
};

static void
write_slot(FILE *file, const struct beginning *beginning, uint8_t opcode, uint8_t modrm)
{
	uint8_t slot[SLOT_BYTES];

	memset(slot, 0x90, sizeof(slot));
	memcpy(slot, beginning->bytes, beginning->count);
	slot[beginning->count] = opcode;
	slot[beginning->count + 1] = modrm;
	fwrite(slot, sizeof(slot), 1, file);
}

/* Every opcode behind these bytes, with every register in ModRM and every kind of operand. */
static void
write_opcodes(FILE *file, const struct beginning *beginning)
{
	static const uint8_t kinds[] = {0x00, 0x04, 0x05, 0x40, 0x44, 0x80, 0x84, 0xc0, 0xc5};

	for (unsigned opcode = 0; opcode < 256; opcode++)
		for (unsigned middle = 0; middle < 8; middle++)
			for (size_t kind = 0; kind < sizeof(kinds); kind++)
				write_slot(file, beginning, (uint8_t)opcode,
					   (uint8_t)(kinds[kind] | middle << 3));
}

static struct tally
compare_opcodes(const struct beginning *beginnings, size_t count)
{
	char path[] = "/tmp/vmt-opcodes-XXXXXX";
	char command[200];
	FILE *file = fdopen(mkstemp(path), "w");
	struct tally tally;

	assert_non_null(file);
	for (size_t i = 0; i < count; i++)
		write_opcodes(file, &beginnings[i]);
	assert_int_equal(fclose(file), 0);
	snprintf(command, sizeof(command), "objdump -D -w -b binary -m i386:x86-64 %s | grep '0:'",
		 path);
	tally = compare_output(command, begins_slot);
	unlink(path);
	print_message("%lu equal, %lu unequal, %lu that objdump does not know\n", tally.equal,
		      tally.unequal, tally.unknown_to_objdump);
	return tally;
}

#define LEGACY(...)                                                                                \
	{                                                                                          \
		{__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})                                    \
	}

static void
every_opcode_has_the_length_that_objdump_says(void **state)
{
	static const struct beginning beginnings[] = {
	    LEGACY(0x2e), /* as without a prefix */
	    LEGACY(0x0f),
	    LEGACY(0x66, 0x0f),
	    LEGACY(0x0f, 0x38),
	    LEGACY(0x66, 0x0f, 0x3a),
	    LEGACY(0xc5, 0xf9),
	    LEGACY(0xc4, 0xe2, 0x79),
	    LEGACY(0xc4, 0xe3, 0x79),
	    LEGACY(0x62, 0xf1, 0x7d, 0x48),
	    LEGACY(0x62, 0xf2, 0xfd, 0x48),
	    LEGACY(0x62, 0xf3, 0xfd, 0x48),
	    /* and in the long form: */
	    LEGACY(0x48),
	    LEGACY(0x66),
	    LEGACY(0x67),
	    LEGACY(0xf2),
	    LEGACY(0xf3),
	    LEGACY(0x66, 0x48),
	    LEGACY(0xf3, 0x0f),
	    LEGACY(0xf2, 0x0f),
	    LEGACY(0x48, 0x0f),
	    LEGACY(0x66, 0x48, 0x0f),
	    LEGACY(0x66, 0x0f, 0x38),
	    LEGACY(0xf2, 0x0f, 0x38),
	    LEGACY(0xf3, 0x0f, 0x38),
	    LEGACY(0x0f, 0x3a),
	    LEGACY(0xf3, 0x0f, 0x3a),
	    LEGACY(0xc5, 0xf8),
	    LEGACY(0xc5, 0xfa),
	    LEGACY(0xc5, 0xff),
	    LEGACY(0xc4, 0xe1, 0xfb),
	    LEGACY(0xc4, 0xe2, 0xfa),
	    LEGACY(0xc4, 0xe3, 0xfb),
	    LEGACY(0x8f, 0xe8, 0x78),
	    LEGACY(0x8f, 0xe9, 0x78),
	    LEGACY(0x8f, 0xea, 0x78),
	    LEGACY(0x62, 0xf1, 0xfc, 0x48),
	    LEGACY(0x62, 0xf1, 0x7e, 0x48),
	    LEGACY(0x62, 0xf1, 0xff, 0x48),
	    LEGACY(0x62, 0xf2, 0x7e, 0x48),
	    LEGACY(0x62, 0xf5, 0x7c, 0x48),
	    LEGACY(0x62, 0xf6, 0x7d, 0x48),
	};
	size_t count = sizeof(beginnings) / sizeof(beginnings[0]);
	struct tally tally;

	(void)state;
	OBJDUMP_NEEDED();
	tally = compare_opcodes(beginnings, (size_t)soak_count(11, (long)count));
	assert_int_equal(tally.unequal, 0);
	assert_true(tally.equal >= 60000);
}

static const struct {
	uint8_t bytes[15];
	uint8_t count;
} unknown[] = {
    {{0x06}, 1},			       /* push %es */
    {{0xea, 0, 0, 0, 0, 0, 0}, 7},	       /* ljmp */
    {{0xd5, 0x00, 0x90}, 3},		       /* REX2 */
    {{0x62, 0xf4, 0x7c, 0x08, 0x01, 0xc0}, 6}, /* APX: a map of its own */
    {{0x62, 0xf9, 0x7c, 0x48, 0x58, 0xc0}, 6}, /* ... a register from 16 on */
    {{0x62, 0xf1, 0x78, 0x48, 0x58, 0xc0}, 6},
    {{0x66, 0xe8, 0, 0, 0, 0}, 6}, /* a distance of 2 or 4 bytes, by the processor's maker */
    {{0x66, 0x0f, 0x84, 0, 0, 0, 0}, 7},
    {{0x48, 0x66, 0x90}, 3},	   /* a prefix behind REX */
    {{0x48, 0xc5, 0xf8, 0x77}, 4}, /* VEX behind REX */
    {{0xf0, 0xc5, 0xf8, 0x77}, 4},
    {{0xc7, 0xc8, 0, 0, 0, 0}, 6}, /* its middle bits are not 0 */
    {{0xff, 0xf8}, 2},
    {{0x0f, 0xb8, 0xc0}, 3},
    {{0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26},
     15},
    /* 16 bytes, did the processor allow it */
    {{0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0xb8, 0, 0, 0}, 15},
};

static void
what_is_no_instruction_has_no_length(void **state)
{
	struct vmt_instruction read;

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(
		    vmt_instruction_length_read(unknown[i].bytes, unknown[i].count, &read), 0);
	assert_int_equal(vmt_instruction_length_read(unknown[0].bytes, 0, &read), 0);
	/* In front of a branch that both makers read alike. */
	assert_int_equal(
	    vmt_instruction_length_read((const uint8_t[]){0x66, 0x48, 0xe8, 1, 0, 0, 0}, 7, &read),
	    7);
	assert_int_equal(read.distance, 1);
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* What an instruction is depends on its own bytes: on none behind it, and on all of them. */
static void
only_its_own_bytes_count(void **state)
{
	uint64_t random = 0x9e3779b97f4a7c15;
	long count = soak_count(100000, 30000000);
	long known = 0;

	(void)state;
	for (long i = count; i > 0; i--) {
		uint8_t bytes[24];
		struct vmt_instruction read;
		struct vmt_instruction again;
		size_t length;

		for (size_t at = 0; at < sizeof(bytes); at += 8)
			memcpy(bytes + at, &(uint64_t){next_random(&random)}, 8);
		length = vmt_instruction_length_read(bytes, sizeof(bytes), &read);
		assert_true(length <= VMT_INSTRUCTION_MAX_BYTES);
		if (length == 0)
			continue;
		known++;
		memset(bytes + length, (int)(random >> 32 & 0xff), sizeof(bytes) - length);
		assert_int_equal(vmt_instruction_length_read(bytes, length, &again), length);
		assert_memory_equal(&read, &again, sizeof(read));
		for (size_t room = 0; room < length; room++)
			assert_int_equal(vmt_instruction_length_read(bytes, room, &again), 0);
	}
	assert_true(known > count / 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_c_library_has_the_lengths_that_objdump_says),
	    cmocka_unit_test(musl_has_them),
	    cmocka_unit_test(go_programs_have_them),
	    cmocka_unit_test(rust_programs_have_them),
	    cmocka_unit_test(every_opcode_has_the_length_that_objdump_says),
	    cmocka_unit_test(what_is_no_instruction_has_no_length),
	    cmocka_unit_test(only_its_own_bytes_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

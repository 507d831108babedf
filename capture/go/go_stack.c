#include "capture/go/go_stack.h"

#include "capture/core/thread.h"

#include <stddef.h>
#include <string.h>

/* No goroutine has a larger one (runtime.maxstacksize). */
#define STACK_MAX_BYTES (UINT64_C(1) << 30)

struct vmt_go_runtime vmt_go_runtimes[VMT_GO_RUNTIMES];
uint32_t vmt_go_runtimes_count;

#if defined(__x86_64__)

struct cursor {
	const unsigned char *at;
	const unsigned char *end;
};

/* Steps over given bytes. */
static bool
skip(struct cursor *cursor, const void *bytes, uint64_t count)
{
	if ((uint64_t)(cursor->end - cursor->at) < count || memcmp(cursor->at, bytes, count) != 0)
		return false;
	cursor->at += count;
	return true;
}

#define SKIP(cursor, ...)                                                                          \
	skip((cursor), (const unsigned char[]){__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__}))

static bool
take_32(struct cursor *cursor, int32_t *number)
{
	if (cursor->end - cursor->at < 4)
		return false;
	memcpy(number, cursor->at, sizeof(*number));
	cursor->at += sizeof(*number);
	return true;
}

/* g into rax: from a fixed place, or, in position-independent code, from one that lies in rcx: a
 * constant that the linker has put in, or a word that the loader has filled in. */
static bool
take_thread_to_g(struct cursor *cursor, int64_t *offset)
{
	int32_t number;

	if (SKIP(cursor, 0x64, 0x48, 0x8b, 0x04, 0x25)) { /* mov %fs:n,%rax */
		if (!take_32(cursor, &number))
			return false;
		*offset = number;
		return true;
	}
	if (SKIP(cursor, 0x48, 0xc7, 0xc1)) { /* mov $n,%rcx */
		if (!take_32(cursor, &number))
			return false;
		*offset = number;
	} else if (SKIP(cursor, 0x48, 0x8b, 0x0d)) { /* mov n(%rip),%rcx */
		if (!take_32(cursor, &number))
			return false;
		memcpy(offset, cursor->at + number, sizeof(*offset));
	} else {
		return false;
	}
	return SKIP(cursor, 0x64, 0x48, 0x8b, 0x01); /* mov %fs:(%rcx),%rax */
}

/* How systemstack takes up its caller's registers: mov g_sched_sp(%rax),%rsp;
 * mov g_sched_bp(%rax),%rbp. Before Go 1.21 it had not changed rbp. */
static void
learn_registers(struct vmt_go_runtime *runtime, const unsigned char *code, uint64_t bytes)
{
	for (uint64_t at = 0; at + 8 <= bytes; at++) {
		if (memcmp(code + at, "\x48\x8b\x60", 3) == 0 &&
		    memcmp(code + at + 4, "\x48\x8b\x68", 3) == 0) {
			runtime->g_to_sp = code[at + 3];
			runtime->g_to_rbp = code[at + 7];
			return;
		}
	}
}

/* The beginning of runtime.systemstack:
 *   push %rbp; mov %rsp,%rbp     (from Go 1.21 on)
 *   mov ...(%rsp),%rdi           its argument
 *   g into rax
 *   mov g_m(%rax),%rbx
 *   cmp m_gsignal(%rbx),%rax; je
 *   mov (%rbx),%rdx; cmp %rdx,%rax; je
 *   cmp m_curg(%rbx),%rax */
static bool
learn(struct vmt_go_runtime *runtime, const unsigned char *code, uint64_t bytes)
{
	struct cursor cursor = {code, code + bytes};
	int32_t number;

	(void)SKIP(&cursor, 0x55, 0x48, 0x89, 0xe5);
	if (!SKIP(&cursor, 0x48, 0x8b, 0x7c, 0x24) || cursor.at == cursor.end)
		return false;
	cursor.at++;
	if (!take_thread_to_g(&cursor, &runtime->thread_to_g) || !SKIP(&cursor, 0x48, 0x8b, 0x58) ||
	    cursor.at == cursor.end)
		return false;
	runtime->g_to_m = *cursor.at++;
	if (!SKIP(&cursor, 0x48, 0x3b, 0x43) || cursor.at == cursor.end)
		return false;
	runtime->m_to_id = *cursor.at < sizeof(uint64_t) ? 0 : *cursor.at - sizeof(uint64_t);
	cursor.at++;
	if (!SKIP(&cursor, 0x74) || cursor.at == cursor.end)
		return false;
	cursor.at++;
	if (!SKIP(&cursor, 0x48, 0x8b, 0x13, 0x48, 0x39, 0xd0, 0x74) || cursor.at == cursor.end)
		return false;
	cursor.at++;
	if (!SKIP(&cursor, 0x48, 0x3b, 0x83) || !take_32(&cursor, &number) || number <= 0 ||
	    number > 4096)
		return false;
	runtime->m_to_goroutine = (uint32_t)number;
	learn_registers(runtime, code, bytes);
	return true;
}

static uint64_t
word_at(uint64_t address)
{
	return *(const uint64_t *)address;
}

/* This thread's m, 0 = none. */
static uint64_t
thread_of(const struct vmt_go_runtime *runtime)
{
	uint64_t thread = vmt_thread_pointer();
	uint64_t g = thread ? word_at(thread + (uint64_t)runtime->thread_to_g) : 0;

	return g ? word_at(g + runtime->g_to_m) : 0;
}

/* The goroutine that this thread runs, 0 = none. */
static uint64_t
goroutine_of(const struct vmt_go_runtime *runtime)
{
	uint64_t m = thread_of(runtime);

	return m ? word_at(m + runtime->m_to_goroutine) : 0;
}

/* The end of g's stack, if it holds the address; else 0. */
static uint64_t
end_of(uint64_t g, uint64_t address)
{
	uint64_t low = g ? word_at(g) : 0;
	uint64_t high = g ? word_at(g + 8) : 0;

	if (address < low || address >= high || high - low > STACK_MAX_BYTES || low == 0)
		return 0;
	return high;
}

/* A thread that the runtime has made by itself has a stack of the runtime's, for m.g0. */
static uint64_t
end_by(const struct vmt_go_runtime *runtime, uint64_t address)
{
	uint64_t m = thread_of(runtime);
	uint64_t end = m ? end_of(word_at(m + runtime->m_to_goroutine), address) : 0;

	return end == 0 && m != 0 && runtime->makes_threads ? end_of(word_at(m), address) : end;
}

static uint64_t
id_word_by(const struct vmt_go_runtime *runtime)
{
	uint64_t m = thread_of(runtime);

	return m && runtime->makes_threads && runtime->m_to_id ? m + runtime->m_to_id : 0;
}

static bool
growing_by(const struct vmt_go_runtime *runtime, struct vmt_go_growing *growing)
{
	uint64_t goroutine = goroutine_of(runtime);

	if (goroutine == 0)
		return false;
	growing->sp = word_at(goroutine + runtime->g_to_sp);
	growing->pc = word_at(goroutine + runtime->g_to_sp + 8);
	growing->rbp = word_at(goroutine + runtime->g_to_rbp);
	growing->stack_end = end_by(runtime, growing->sp);
	return growing->stack_end != 0;
}

#else

static bool
learn(struct vmt_go_runtime *runtime, const unsigned char *code, uint64_t bytes)
{
	(void)runtime;
	(void)code;
	(void)bytes;
	return false;
}

static uint64_t
end_by(const struct vmt_go_runtime *runtime, uint64_t address)
{
	(void)runtime;
	(void)address;
	return 0;
}

static uint64_t
id_word_by(const struct vmt_go_runtime *runtime)
{
	(void)runtime;
	return 0;
}

static bool
growing_by(const struct vmt_go_runtime *runtime, struct vmt_go_growing *growing)
{
	(void)runtime;
	(void)growing;
	return false;
}

#endif

bool
vmt_go_stack_growing(uint64_t pc, struct vmt_go_growing *growing)
{
	for (uint32_t i = 0; i < vmt_go_runtimes_count; i++) {
		const struct vmt_go_runtime *runtime = &vmt_go_runtimes[i];

		if (pc - runtime->grow_low < runtime->grow_bytes)
			return runtime->g_to_sp != 0 && growing_by(runtime, growing);
	}
	return false;
}

uint64_t
vmt_go_stack_end(uint64_t address)
{
	for (uint32_t i = 0; i < vmt_go_runtimes_count; i++) {
		uint64_t end =
		    vmt_go_runtimes[i].m_to_goroutine ? end_by(&vmt_go_runtimes[i], address) : 0;

		if (end)
			return end;
	}
	return 0;
}

uint64_t
vmt_go_stack_id_word(void)
{
	return vmt_go_stack_is_known() ? id_word_by(&vmt_go_runtimes[0]) : 0;
}

static bool
add(const struct vmt_go_runtime *runtime)
{
	if (vmt_go_runtimes_count == VMT_GO_RUNTIMES)
		return false;
	vmt_go_runtimes[vmt_go_runtimes_count++] = *runtime;
	return true;
}

bool
vmt_go_stack_add(uint64_t text_low, uint64_t text_high, const unsigned char *code, uint64_t bytes)
{
	struct vmt_go_runtime runtime = {.text_low = text_low, .text_bytes = text_high - text_low};

	return learn(&runtime, code, bytes) && add(&runtime);
}

void
vmt_go_stack_add_threads(void)
{
	if (vmt_go_runtimes_count != 0)
		vmt_go_runtimes[vmt_go_runtimes_count - 1].makes_threads = true;
}

bool
vmt_go_stack_add_text(uint64_t text_low, uint64_t text_high)
{
	struct vmt_go_runtime runtime = {.text_low = text_low, .text_bytes = text_high - text_low};

	return add(&runtime);
}

void
vmt_go_stack_add_growing(uint64_t code, uint64_t bytes)
{
	struct vmt_go_runtime *runtime;

	if (vmt_go_runtimes_count == 0)
		return;
	runtime = &vmt_go_runtimes[vmt_go_runtimes_count - 1];
	runtime->grow_low = code;
	runtime->grow_bytes = bytes;
}

#include "inject/return_frame.h"

#include "base/sys.h"
#include "inject/text_search.h"

#include <errno.h>
#include <string.h>

/* How far above the frame's place the stacks of all threads have to be: what a program may come
 * down to in the moment in which we die. */
#define CLEARANCE_BYTES 16384u

#define FRAME_MAX_BYTES 16384u

void
vmt_return_frame_close(struct vmt_return_frame *frame)
{
	vmt_buffer_free(&frame->memory);
	*frame = (struct vmt_return_frame){0};
}

bool
vmt_return_frame_is_clear_of(const struct vmt_return_frame *frame, uint64_t stack_pointer)
{
	return stack_pointer < frame->address ||
	       stack_pointer >= frame->address + FRAME_MAX_BYTES + CLEARANCE_BYTES;
}

#if defined(__x86_64__)

#include <cpuid.h>
#include <elf.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

/* Of arch/x86/include/uapi/asm/ucontext.h and sigcontext.h. */
#define UC_FP_XSTATE 1u
#define UC_SIGCONTEXT_SS 2u
#define UC_STRICT_RESTORE_SS 4u
#define FIRST_MAGIC 0x46505853u /* FP_XSTATE_MAGIC1 */
#define LAST_MAGIC 0x46505845u	/* FP_XSTATE_MAGIC2 */
#define SOFTWARE_BYTES_AT 464u	/* in an area of XSAVE: what ptrace and frames put there */
#define XSTATE_BV_AT 512u
#define XSTATE_LEAST_BYTES 576u /* with the header, without any extended component */
#define XSTATE_COMPONENTS 63u

/* A value of ss_flags that the kernel refuses (do_sigaltstack): the alternate stack stays what it
 * is, and rt_sigreturn ignores the refusal. */
#define FLAGS_REFUSED 0xdeadu

#define RESTART_SYS (-512)
#define RESTART_NOINTR (-513)
#define RESTART_NOHAND (-514)
#define RESTART_BLOCK (-516)

/* struct rt_sigframe up to the signal mask, with arch/x86's struct sigcontext_64 in it. */
struct signal_frame {
	uint64_t return_address;
	uint64_t flags;
	uint64_t link;
	uint64_t stack_pointer;
	uint32_t stack_flags;
	uint32_t stack_padding;
	uint64_t stack_bytes;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, fault_address;
	uint64_t xstate_address;
	uint64_t reserved[8];
	uint64_t mask;
};

/* struct _fpx_sw_bytes */
struct software_bytes {
	uint32_t magic;
	uint32_t extended_bytes;
	uint64_t components;
	uint32_t xstate_bytes;
	uint32_t padding[7];
};

static const struct vmt_text_pattern call = {.bytes = {0x0f, 0x05, 0xc3}, .count = 3};
static const struct vmt_text_pattern restorer = {
    .bytes = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05}, .count = 9};
static const struct vmt_text_pattern short_restorer = {.bytes = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05},
						       .count = 7};
static const struct vmt_text_pattern pop = {.bytes = {0x58, 0xc3}, .count = 2};

static bool
is_there(const struct vmt_target *target, uint64_t address, const struct vmt_text_pattern *wanted)
{
	uint8_t bytes[VMT_TEXT_PATTERN_BYTES];

	return vmt_target_read(target, address, bytes, wanted->count) == 0 &&
	       memcmp(bytes, wanted->bytes, wanted->count) == 0;
}

bool
vmt_return_frame_is_intact(const struct vmt_return_frame *frame, const struct vmt_target *target)
{
	if (!is_there(target, frame->call_address, &call))
		return false;
	if (frame->is_popped)
		return is_there(target, frame->restorer_address, &pop);
	return is_there(target, frame->restorer_address, &restorer) ||
	       is_there(target, frame->restorer_address, &short_restorer);
}

int
vmt_return_frame_find(struct vmt_return_frame *frame, const struct vmt_target *target)
{
	struct vmt_text_pattern patterns[] = {call, restorer};
	struct vmt_text_pattern shorter = short_restorer;
	struct vmt_text_pattern popped = pop;
	uint64_t stack_low;
	int result;

	*frame = (struct vmt_return_frame){0};
	result = vmt_text_search(target, patterns, 2, &frame->address);
	if (result == -ENOENT && patterns[0].address) {
		result = vmt_text_search(target, &shorter, 1, &stack_low);
		patterns[1].address = shorter.address;
	}
	if (result == -ENOENT && patterns[0].address) {
		result = vmt_text_search(target, &popped, 1, &stack_low);
		patterns[1].address = popped.address;
		frame->is_popped = true;
	}
	if (result == 0 && frame->address == 0)
		result = -ENOENT;
	if (result == 0 && !vmt_buffer_reserve(&frame->memory, (size_t)2 * FRAME_MAX_BYTES))
		result = -ENOMEM;
	frame->call_address = patterns[0].address;
	frame->restorer_address = patterns[1].address;
	return result;
}

/* The number that the text before a `syscall` loads right there: of those calls that wait for a
 * time; else restart_syscall again. */
static uint64_t
number_of_timed_call(const struct vmt_target *target, uint64_t behind)
{
	uint8_t text[7]; /* mov $NUMBER, %eax; syscall */
	uint32_t number;

	if (vmt_target_read(target, behind - sizeof(text), text, sizeof(text)) < 0 ||
	    text[0] != 0xb8 || text[5] != 0x0f || text[6] != 0x05)
		return SYS_restart_syscall;
	memcpy(&number, text + 1, sizeof(number));
	switch (number) {
	case SYS_poll:
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
	case SYS_futex:
		return number;
	default:
		return SYS_restart_syscall;
	}
}

/* Whether it is in the call still that it was stopped in before. */
static bool
is_earlier(const struct vmt_return_call *earlier, pid_t tid, const struct vmt_registers *registers)
{
	return earlier->tid == tid && earlier->pc == registers->user.rip &&
	       earlier->words[0] == registers->user.rdi &&
	       earlier->words[1] == registers->user.rsi && earlier->words[2] == registers->user.rdx;
}

struct vmt_return_call
vmt_return_frame_call(pid_t tid, const struct vmt_registers *registers)
{
	return (struct vmt_return_call){
	    .tid = (int64_t)registers->user.rax == RESTART_BLOCK ? tid : 0,
	    .number = registers->user.orig_rax,
	    .pc = registers->user.rip,
	    .words = {registers->user.rdi, registers->user.rsi, registers->user.rdx},
	};
}

/* Registers with which an interrupted call is made again, as the kernel sets them on the way out of
 * a stop. */
static struct vmt_registers
registers_of_restart(const struct vmt_return_frame *frame, const struct vmt_target *target,
		     pid_t tid, const struct vmt_registers *stopped)
{
	struct vmt_registers again = *stopped;
	int64_t error = (int64_t)stopped->user.rax;

	if ((int64_t)stopped->user.orig_rax < 0 ||
	    (error != RESTART_SYS && error != RESTART_NOINTR && error != RESTART_NOHAND &&
	     error != RESTART_BLOCK))
		return again;
	again.user.rax = stopped->user.orig_rax;
	if (stopped->user.orig_rax == SYS_restart_syscall)
		again.user.rax = is_earlier(&frame->earlier, tid, stopped)
				     ? frame->earlier.number
				     : number_of_timed_call(target, stopped->user.rip);
	again.user.rip -= 2;
	return again;
}

static void
fill(struct signal_frame *frame, const struct user_regs_struct *registers, uint64_t mask)
{
	*frame = (struct signal_frame){
	    .flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
	    .stack_flags = FLAGS_REFUSED,
	    .r8 = registers->r8,
	    .r9 = registers->r9,
	    .r10 = registers->r10,
	    .r11 = registers->r11,
	    .r12 = registers->r12,
	    .r13 = registers->r13,
	    .r14 = registers->r14,
	    .r15 = registers->r15,
	    .rdi = registers->rdi,
	    .rsi = registers->rsi,
	    .rbp = registers->rbp,
	    .rbx = registers->rbx,
	    .rdx = registers->rdx,
	    .rax = registers->rax,
	    .rcx = registers->rcx,
	    .rsp = registers->rsp,
	    .rip = registers->rip,
	    .eflags = registers->eflags,
	    .cs = (uint16_t)registers->cs,
	    .ss = (uint16_t)registers->ss,
	    .mask = mask,
	};
}

/* How many bytes the components that are in use take. The kernel refuses a frame with more than the
 * thread may use, and would then reset all but the oldest registers. */
static uint32_t
xstate_bytes_in_use(const uint8_t *area)
{
	uint32_t bytes = XSTATE_LEAST_BYTES;
	uint64_t in_use;

	memcpy(&in_use, area + XSTATE_BV_AT, sizeof(in_use));
	for (uint32_t i = 2; i < XSTATE_COMPONENTS; i++) {
		uint32_t size, offset, unused_c, unused_d;

		if (!(in_use >> i & 1))
			continue;
		__cpuid_count(0xd, i, size, offset, unused_c, unused_d);
		(void)unused_c;
		(void)unused_d;
		if (offset + size > bytes)
			bytes = offset + size;
	}
	return bytes;
}

/* Reads the vector registers behind the frame and marks them as the kernel does. Their end within
 * the frame, or negative errno. */
static long
append_xstate(uint8_t *bytes, size_t at, pid_t tid)
{
	struct {
		void *base;
		size_t length;
	} area = {bytes + at, FRAME_MAX_BYTES - at - sizeof(uint64_t)};
	struct software_bytes marks = {.magic = FIRST_MAGIC};
	uint32_t magic = LAST_MAGIC;
	long result = vmt_tracee_ask(VMT_PTRACE_GETREGSET, tid, NT_X86_XSTATE, (uintptr_t)&area);

	if (result < 0)
		return result;
	if (area.length < XSTATE_LEAST_BYTES)
		return -EIO;
	marks.xstate_bytes = xstate_bytes_in_use(bytes + at);
	marks.extended_bytes = marks.xstate_bytes + (uint32_t)sizeof(magic);
	if (marks.xstate_bytes > area.length)
		return -EIO;
	memcpy(&marks.components, bytes + at + SOFTWARE_BYTES_AT, sizeof(marks.components));
	memcpy(bytes + at + SOFTWARE_BYTES_AT, &marks, sizeof(marks));
	memcpy(bytes + at + marks.xstate_bytes, &magic, sizeof(magic));
	return (long)(at + marks.extended_bytes);
}

/* The instruction that restores them takes addresses that are divisible by 64. */
static size_t
xstate_place(uint64_t frame_address, size_t at)
{
	uint64_t behind = frame_address + at + sizeof(struct signal_frame);

	return (size_t)(((behind + 63) & ~UINT64_C(63)) - frame_address);
}

/* Where the kernel's frame begins: behind what `pop %rax; ret` takes, whose return leads to the
 * `syscall` in place of the frame's own. */
static size_t
put_way_back(const struct vmt_return_frame *frame)
{
	const uint64_t popped[] = {frame->restorer_address, SYS_rt_sigreturn};

	if (!frame->is_popped)
		return 0;
	memcpy(frame->memory.bytes, popped, sizeof(popped));
	return sizeof(popped);
}

int
vmt_return_frame_write(struct vmt_return_frame *frame, const struct vmt_target *target, pid_t tid,
		       const struct vmt_registers *registers, uint64_t mask)
{
	struct vmt_registers again = registers_of_restart(frame, target, tid, registers);
	struct signal_frame *written;
	size_t at, place;
	uint8_t *kept = frame->memory.bytes + FRAME_MAX_BYTES;
	long end;
	int result;

	if (!vmt_return_frame_is_clear_of(frame, registers->user.rsp))
		return -ENOSPC;
	if (!vmt_return_frame_is_intact(frame, target))
		return -ENOEXEC;
	memset(frame->memory.bytes, 0, FRAME_MAX_BYTES);
	at = put_way_back(frame);
	place = xstate_place(frame->address, at);
	written = (struct signal_frame *)(void *)(frame->memory.bytes + at);
	fill(written, &again.user, mask);
	written->return_address = frame->is_popped ? frame->call_address : frame->restorer_address;
	written->xstate_address = frame->address + place;
	end = append_xstate(frame->memory.bytes, place, tid);
	if (end < 0)
		return (int)end;
	result = vmt_target_read(target, frame->address, kept, (size_t)end);
	if (result < 0)
		return result;
	frame->bytes = (size_t)end;
	return vmt_target_write(target, frame->address, frame->memory.bytes, frame->bytes);
}

int
vmt_return_frame_erase(struct vmt_return_frame *frame, const struct vmt_target *target)
{
	size_t bytes = frame->bytes;

	frame->bytes = 0;
	return vmt_target_write(target, frame->address, frame->memory.bytes + FRAME_MAX_BYTES,
				bytes);
}

#else

bool
vmt_return_frame_is_intact(const struct vmt_return_frame *frame, const struct vmt_target *target)
{
	(void)frame;
	(void)target;
	return false;
}

int
vmt_return_frame_find(struct vmt_return_frame *frame, const struct vmt_target *target)
{
	(void)target;
	*frame = (struct vmt_return_frame){0};
	return -ENOSYS;
}

int
vmt_return_frame_write(struct vmt_return_frame *frame, const struct vmt_target *target, pid_t tid,
		       const struct vmt_registers *registers, uint64_t mask)
{
	(void)frame;
	(void)target;
	(void)tid;
	(void)registers;
	(void)mask;
	return -ENOSYS;
}

struct vmt_return_call
vmt_return_frame_call(pid_t tid, const struct vmt_registers *registers)
{
	(void)tid;
	(void)registers;
	return (struct vmt_return_call){.tid = 0};
}

int
vmt_return_frame_erase(struct vmt_return_frame *frame, const struct vmt_target *target)
{
	(void)frame;
	(void)target;
	return -ENOSYS;
}

#endif

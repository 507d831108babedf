#define VMT_KEPT_VECTORS_MAKES
#include "capture/record/kept_vectors.h"

#if defined(__x86_64__) && !defined(VMT_THREAD_ON_STACK)

#include <cpuid.h>
#include <stdint.h>

/* Intel SDM, volume 1, chapter 13. The standard format is at least as large as the compacted one.
 */
#define SSE 0x02u
#define AVX 0x04u
#define AVX_512 0xe0u
#define LEGACY_BYTES 512u
#define HEADER_BYTES 64u

static uint32_t mask __asm__("kept_vectors_mask") __attribute__((used)); /* 0: no XSAVE */
static uint64_t area_bytes __asm__("kept_vectors_area_bytes") __attribute__((used)) = LEGACY_BYTES;
/* XSAVEC leaves out what was never used, or cleared since: most often all above xmm. */
static uint32_t has_xsavec __asm__("kept_vectors_has_xsavec") __attribute__((used));

static void
reach(uint32_t feature)
{
	uint32_t bytes, offset, unused_c, unused_d;

	__cpuid_count(0xd, feature, bytes, offset, unused_c, unused_d);
	(void)unused_c;
	(void)unused_d;
	if (bytes + offset > area_bytes)
		area_bytes = bytes + offset;
}

void
vmt_kept_vectors_set_up(void)
{
	uint32_t a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	mask = a & (SSE | AVX | AVX_512);
	__cpuid_count(0xd, 1, a, b, c, d);
	has_xsavec = a >> 1 & 1;
	area_bytes = LEGACY_BYTES + HEADER_BYTES;
	for (uint32_t feature = 2; feature < 8; feature++)
		if (mask >> feature & 1)
			reach(feature);
}

/* r11: what is to be called, with at most six arguments; its value is in rax. XRSTOR wants a header
 * of zeros beyond its first word. */
__asm__(".pushsection .text\n"
	".balign 16\n"
	".type kept_vectors_call, @function\n"
	"kept_vectors_call:\n"
	"	.cfi_startproc\n"
	"	push	%rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbp, -16\n"
	"	mov	%rsp, %rbp\n"
	"	.cfi_def_cfa_register %rbp\n"
	"	sub	kept_vectors_area_bytes(%rip), %rsp\n"
	"	and	$-64, %rsp\n"
	"	mov	kept_vectors_mask(%rip), %eax\n"
	"	test	%eax, %eax\n"
	"	je	1f\n"
	"	mov	%rdx, %r10\n"
	"	xor	%edx, %edx\n"
	"	mov	%rdx, 512(%rsp)\n"
	"	mov	%rdx, 520(%rsp)\n"
	"	mov	%rdx, 528(%rsp)\n"
	"	mov	%rdx, 536(%rsp)\n"
	"	mov	%rdx, 544(%rsp)\n"
	"	mov	%rdx, 552(%rsp)\n"
	"	mov	%rdx, 560(%rsp)\n"
	"	mov	%rdx, 568(%rsp)\n"
	"	cmpl	$0, kept_vectors_has_xsavec(%rip)\n"
	"	je	3f\n"
	"	xsavec64 (%rsp)\n"
	"	jmp	4f\n"
	"3:	xsave64	(%rsp)\n"
	"4:	mov	%r10, %rdx\n"
	"	call	*%r11\n"
	"	mov	%rax, %r10\n"
	"	mov	kept_vectors_mask(%rip), %eax\n"
	"	xor	%edx, %edx\n"
	"	xrstor64 (%rsp)\n"
	"	jmp	2f\n"
	"1:	fxsave64 (%rsp)\n"
	"	call	*%r11\n"
	"	mov	%rax, %r10\n"
	"	fxrstor64 (%rsp)\n"
	"2:	mov	%r10, %rax\n"
	"	leave\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size kept_vectors_call, . - kept_vectors_call\n"
	".popsection\n");

#define MAKE(call)                                                                                 \
	__asm__(".pushsection .text\n"                                                             \
		".globl " #call "_kept\n"                                                          \
		".hidden " #call "_kept\n"                                                         \
		".type " #call "_kept, @function\n" #call "_kept:\n"                               \
		"	lea	" #call "(%rip), %r11\n"                                           \
		"	jmp	kept_vectors_call\n"                                                         \
		".size " #call "_kept, . - " #call "_kept\n"                                       \
		".popsection\n");
VMT_KEPT_VECTORS_CALLS(MAKE)

#endif

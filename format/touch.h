/*
 * touch.h: page faults that the kernel sampled, as bytes
 *
 * The payload of a TOUCH chunk: which pages were touched, by whom, since the last such chunk. A
 * head, then stacks, then samples that name a stack by its index; each chunk decodes alone.
 * docs/trace-format.md gives the layout byte by byte. A sample is written for one fault in `period`
 * of a thread, minor and major ones each by themselves, after the kernel has given it its page. Of
 * a stack only code addresses are kept.
 *
 * Freestanding: no allocation, no I/O. Thread and signal safe on separate cursors. Encoders never
 * write past end: what does not fit is not begun, and false comes back. Decoders never read past
 * end and return false on malformed bytes; bytes are untrusted.
 */
#ifndef VMT_TOUCH_H
#define VMT_TOUCH_H

#include "format/chunk.h"
#include "format/stack_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that any one stack or sample may need. */
#define VMT_TOUCH_STACK_MAX_BYTES (16u + 10u * VMT_STACK_MAX_FRAMES)
#define VMT_TOUCH_SAMPLE_MAX_BYTES 40u

/* The largest size of vmt_head.folios_always and folios_advised: 1 MiB. */
#define VMT_TOUCH_FOLIO_MAX_SHIFT 20u

/* flags of the head */
#define VMT_TOUCH_KERNEL_FAULTS 1u /* faults in kernel mode are among them: read() into memory */
#define VMT_TOUCH_PAGE_SIZES 2u	   /* the samples' page_shift is known: Linux 5.11 and later */
#define VMT_TOUCH_INHERITED 4u	   /* threads to come are among them */
#define VMT_TOUCH_RAISED 8u	   /* the period was raised, to keep within the CPU budget */
#define VMT_TOUCH_REFUSED 16u	   /* by the kernel, with errno `refused`: there are no samples */
#define VMT_TOUCH_MAJOR_FAULTS 32u /* major faults are among them */

/* Why a stack has no frame after its last one. */
enum vmt_touch_stack_end {
	VMT_TOUCH_STACK_COMPLETE = 0, /* main, or the entry of a thread or goroutine */
	VMT_TOUCH_STACK_CUT = 1,      /* what the kernel copied of the stack ended */
	VMT_TOUCH_STACK_NO_RULES = 2, /* code that no table describes: made at run time, or odd */
	VMT_TOUCH_STACK_DEEP = 3,     /* as many frames as are kept */
	VMT_TOUCH_STACK_UNKNOWN = 4,
};

/* Grows at its end alone: what an older trace lacks is VMT_FIGURE_UNKNOWN. */
struct vmt_touch_head {
	uint64_t period; /* faults that each of these samples stands for; 0: none from here on */
	uint64_t minor_faults; /* of the process so far, sampled or not; VMT_FIGURE_UNKNOWN */
	uint64_t major_faults;
	uint64_t samples_lost;	  /* since the trace's start: by the kernel or by the collector */
	uint64_t samples_skipped; /* likewise: taken, and over the CPU budget */
	uint32_t flags;		  /* VMT_TOUCH_* */
	uint32_t refused;	  /* errno of perf_event_open; 0 */
	uint32_t stacks;
	uint32_t samples;
};

_Static_assert(sizeof(struct vmt_touch_head) == 56, "the head of a TOUCH chunk has 56 bytes");

struct vmt_touch_stack {
	uint32_t count; /* of frames, innermost first; 0: not known */
	uint8_t end;	/* enum vmt_touch_stack_end */
	/* The first is the instruction that touched, exactly; the others are return addresses. */
	uint64_t frames[VMT_STACK_MAX_FRAMES];
};

struct vmt_touch_sample {
	uint64_t time;	    /* ticks */
	uint64_t address;   /* a multiple of 4096: the touched one's first 4 KiB */
	uint32_t thread;    /* kernel id, as in events */
	uint32_t stack;	    /* index into the chunk's stacks */
	uint8_t page_shift; /* the page has 1 << page_shift bytes; 0: not known */
	bool major;	    /* the page had to be read from a file or from swap */
	bool kernel;	    /* in kernel mode: a system call touched it for the program */
};

struct vmt_touch_encoder {
	unsigned char *begin;
	unsigned char *at; /* next byte to write */
	unsigned char *end;
	uint64_t frame; /* what the next differences count from */
	uint64_t time;
	uint64_t page;
	uint32_t stacks; /* so far */
	uint32_t samples;
};

struct vmt_touch_decoder {
	const unsigned char *at;
	const unsigned char *end;
	uint64_t frame;
	uint64_t time;
	uint64_t page;
	uint32_t stacks;      /* of the chunk */
	uint32_t stacks_left; /* not yet decoded */
	uint32_t samples_left;
};

/* All stacks first, then the samples, nearly in time order. length >= sizeof(struct
 * vmt_touch_head). */
void vmt_touch_begin_encode(struct vmt_touch_encoder *encoder, void *bytes, size_t length);
bool vmt_touch_put_stack(struct vmt_touch_encoder *encoder, const struct vmt_touch_stack *stack);
bool vmt_touch_put_sample(struct vmt_touch_encoder *encoder, const struct vmt_touch_sample *sample);

/* Writes the head, with the stacks and samples that were put. Returns the payload's bytes. The
 * chunk's header gets record_bytes = sizeof(*head), events = the samples' number, and time_min and
 * time_max of the samples. */
size_t vmt_touch_end_encode(struct vmt_touch_encoder *encoder, const struct vmt_touch_head *head);

/* After begin_decode as many get_stack as the head says, then as many get_sample. False as well
 * where all of them have been read. */
bool vmt_touch_begin_decode(struct vmt_touch_decoder *decoder, const struct vmt_chunk *chunk,
			    const void *bytes, size_t length, struct vmt_touch_head *head);
bool vmt_touch_get_stack(struct vmt_touch_decoder *decoder, struct vmt_touch_stack *stack);
bool vmt_touch_get_sample(struct vmt_touch_decoder *decoder, struct vmt_touch_sample *sample);

/* Whether everything was read, and nothing is left over. */
static inline bool
vmt_touch_is_done(const struct vmt_touch_decoder *decoder)
{
	return decoder->stacks_left == 0 && decoder->samples_left == 0 &&
	       decoder->at == decoder->end;
}

#endif

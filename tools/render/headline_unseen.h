/*
 * headline_unseen.h: what of the headline no snapshot shows: a peak between two readings, and what
 * happened after the last one.
 *
 * Sentences of their own, each with a space behind it where it comes first, before it where it
 * comes last; nothing where there is nothing to say. What is small, 4 MiB or a twentieth of RSS, is
 * not said.
 */
#ifndef VMT_HEADLINE_UNSEEN_H
#define VMT_HEADLINE_UNSEEN_H

#include "tools/model/report/report.h"
#include "tools/render/sentence.h"

/* "The last snapshot is 4.0 s before the OOM killer's kill; since then about 90.2 MiB of malloc
 * blocks were requested, the most by session_open oomfast.c:12. " `snapshot` is what the report's
 * own is called: "This snapshot". */
void vmt_headline_unseen_say_since(struct vmt_sentence *sentence, const struct vmt_report *report,
				   const char *snapshot);

/* Whether there is such a sentence. */
bool vmt_headline_unseen_has_since(const struct vmt_report *report);

/* " The peak of 151 MiB is the kernel's count: it lay between two readings, at 4 s and 4.26 s, and
 * nobody looked at its pages; requested meanwhile: 150 MiB, the most by spike.c:12." " Before the
 * process was first looked at, its largest RSS was 298 MiB by the kernel's count." */
void vmt_headline_unseen_say_peak(struct vmt_sentence *sentence, const struct vmt_report *report);

/* "about 112 MiB of malloc blocks were freed and 3 MiB requested; 20 MiB were mapped; 8 MiB were
 * given back", of such amounts; false where there is nothing: then nothing is said. */
struct vmt_unseen_amounts {
	uint64_t blocks_requested_bytes;
	uint64_t blocks_freed_bytes;
	uint64_t mapped_bytes;
	uint64_t unmapped_bytes;
	uint64_t given_back_bytes;
	uint64_t given_back_later_bytes;
	bool estimate;
};
bool vmt_headline_unseen_say_amounts(struct vmt_sentence *sentence,
				     const struct vmt_unseen_amounts *amounts);

#endif

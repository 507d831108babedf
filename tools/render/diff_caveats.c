#include "tools/render/diff_caveats.h"

#include "tools/render/sentence.h"
#include "tools/render/units.h"

#include <string.h>

/* The kernel's counter alone is off by some of that. */
#define MISSED_WORTH_NAMING_BYTES (UINT64_C(1) << 20)

static bool
differ(const char *a, const char *b)
{
	return a && b && strcmp(a, b) != 0;
}

static void
caution_missed(struct vmt_sentence *sentence, const char *name, uint64_t missed_bytes)
{
	char missed[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence,
			 "RSS of %s rose %s above its largest snapshot, between snapshots: that "
			 "much of a difference may come from their timing.",
			 name, vmt_units_bytes(missed, missed_bytes));
}

/* Of which one is read: the same in both, or not. */
static void
caution_runtimes(struct vmt_sentence *sentence, bool of_a, bool of_b)
{
	vmt_sentence_say(
	    sentence,
	    "%s several Go runtimes, of which one at most was read. Goroutines, lines "
	    "and what the heap is used for are of that one. It may be another one in A "
	    "than in B.",
	    of_a && of_b ? "A and B have" : (of_a ? "A has" : "B has"));
}

void
vmt_diff_caveats_write(const struct vmt_diff *diff, unsigned n, char *text, size_t text_bytes)
{
	const struct vmt_report *a = diff->a;
	const struct vmt_report *b = diff->b;
	struct vmt_sentence sentence = {text, text_bytes, 0};

	text[0] = '\0';
	if (diff->is_by_kind && n-- == 0)
		vmt_sentence_say(&sentence,
				 "%s is a snapshot, which knows no call: memory is compared by its "
				 "kind alone. \"" VMT_DIFF_PRIVATE_CLASS
				 "\" is all that is private and has no file, but stacks and the Go "
				 "heap.",
				 a->process.is_snapshot ? "A" : "B");
	else if (diff->is_now.a != diff->is_now.b && n-- == 0)
		vmt_sentence_say(&sentence,
				 "%s still runs: its figures are of now, %s of its peak (--at peak "
				 "compares both peaks).",
				 diff->is_now.a ? "A" : "B", diff->is_now.a ? "B's" : "A's");
	else if (diff->totals.missed_bytes.a > MISSED_WORTH_NAMING_BYTES && n-- == 0)
		caution_missed(&sentence, "A", diff->totals.missed_bytes.a);
	else if (diff->totals.missed_bytes.b > MISSED_WORTH_NAMING_BYTES && n-- == 0)
		caution_missed(&sentence, "B", diff->totals.missed_bytes.b);
	else if (!diff->is_by_kind && differ(a->coverage.malloc_mode, b->coverage.malloc_mode) &&
		 n-- == 0)
		vmt_sentence_say(&sentence,
				 "malloc was recorded differently (A: %s, B: %s): malloc rows "
				 "can't be compared.",
				 a->coverage.malloc_mode, b->coverage.malloc_mode);
	else if (!diff->is_by_kind && a->committer_count && b->committer_count == 0 && n-- == 0)
		vmt_sentence_say(&sentence, "Who touched memory is known of A alone.");
	else if (!diff->is_by_kind && b->committer_count && a->committer_count == 0 && n-- == 0)
		vmt_sentence_say(&sentence, "Who touched memory is known of B alone.");
	else if (!diff->is_by_kind && differ(a->coverage.stacks, b->coverage.stacks) && n-- == 0)
		vmt_sentence_say(
		    &sentence,
		    "Stacks were walked differently (A: %s, B: %s): call sites may not match.",
		    a->coverage.stacks, b->coverage.stacks);
	else if ((a->go.is_several || b->go.is_several) && n-- == 0)
		caution_runtimes(&sentence, a->go.is_several, b->go.is_several);
	else if (a->coverage.nameless && n-- == 0)
		vmt_sentence_say(&sentence, "A: %s. Call sites may not match.",
				 a->coverage.nameless);
	else if (b->coverage.nameless && n-- == 0)
		vmt_sentence_say(&sentence, "B: %s. Call sites may not match.",
				 b->coverage.nameless);
	else if (differ(a->snapshot.source, b->snapshot.source) && n-- == 0)
		vmt_sentence_say(&sentence, "Resident pages were read differently (A: %s, B: %s).",
				 a->snapshot.source, b->snapshot.source);
}

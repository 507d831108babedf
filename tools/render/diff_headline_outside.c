#include "tools/render/diff_headline_outside.h"

#include "format/chunk.h"
#include "tools/render/diff_change.h"

static struct vmt_diff_figure
hugetlb_of(const struct vmt_diff *diff)
{
	struct vmt_diff_figure sum = {0, 0};

	for (size_t i = 0; i < diff->class_count; i++) {
		sum.a += diff->classes[i].hugetlb_bytes.a;
		sum.b += diff->classes[i].hugetlb_bytes.b;
	}
	return sum;
}

/* A change within the noise of committed memory is none. */
static struct vmt_diff_figure
swap_of(const struct vmt_diff *diff)
{
	static const struct vmt_diff_figure none;
	const struct vmt_diff_figure *swap = &diff->totals.swap_bytes;

	if (swap->a == VMT_FIGURE_UNKNOWN || swap->b == VMT_FIGURE_UNKNOWN ||
	    vmt_diff_distance(swap) <= diff->verdict.committed_noise_bytes)
		return none;
	return *swap;
}

bool
vmt_diff_headline_outside_has_change(const struct vmt_diff *diff)
{
	struct vmt_diff_figure hugetlb = hugetlb_of(diff);
	struct vmt_diff_figure swap = swap_of(diff);

	return vmt_diff_distance(&hugetlb) != 0 || vmt_diff_distance(&swap) != 0;
}

/* More or less of it is requested than before, and more or less of that is outside of RSS. */
static const char *
meaning_of_reserved(const struct vmt_diff *diff, bool up)
{
	struct vmt_diff_figure hugetlb = hugetlb_of(diff);
	struct vmt_diff_figure swap = swap_of(diff);
	bool in_hugetlb = vmt_diff_distance(&hugetlb) != 0 && (vmt_diff_delta(&hugetlb) > 0) == up;
	bool in_swap = vmt_diff_distance(&swap) != 0 && (vmt_diff_delta(&swap) > 0) == up;

	if (in_hugetlb && in_swap)
		return up ? "more is requested, and more is in huge pages outside of RSS and in "
			    "swap"
			  : "less is requested, and less is in huge pages outside of RSS and in "
			    "swap";
	if (in_hugetlb)
		return up ? "more is requested, and more is in huge pages outside of RSS"
			  : "less is requested, and less is in huge pages outside of RSS";
	if (in_swap)
		return up ? "more is requested, and more is in swap"
			  : "less is requested, and less is in swap";
	return NULL;
}

const char *
vmt_diff_headline_outside_meaning(const struct vmt_diff *diff)
{
	struct vmt_diff_figure swap = swap_of(diff);

	switch (diff->verdict.kind) {
	case VMT_DIFF_MORE_RESERVED:
		return meaning_of_reserved(diff, true);
	case VMT_DIFF_LESS_RESERVED:
		return meaning_of_reserved(diff, false);
	case VMT_DIFF_LESS_TOUCHED:
		return vmt_diff_delta(&swap) > 0
			   ? "less of what is reserved is in RAM, more of it in swap"
			   : NULL;
	case VMT_DIFF_MORE_TOUCHED:
		return vmt_diff_delta(&swap) < 0
			   ? "more of what is reserved is in RAM, less of it in swap"
			   : NULL;
	default:
		return NULL;
	}
}

static void
say_figure(struct vmt_sentence *sentence, const char *what, const struct vmt_diff_figure *figure)
{
	char change[VMT_DIFF_CHANGE_BYTES];
	char before[VMT_UNITS_BYTES];
	char after[VMT_UNITS_BYTES];

	if (vmt_diff_distance(figure) != 0)
		vmt_sentence_say(sentence, " %s %s (from %s to %s).", what,
				 vmt_diff_change_write(change, figure),
				 vmt_units_bytes(before, figure->a),
				 vmt_units_bytes(after, figure->b));
}

void
vmt_diff_headline_outside_say(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	struct vmt_diff_figure hugetlb = hugetlb_of(diff);
	struct vmt_diff_figure swap = swap_of(diff);

	say_figure(sentence, "Huge pages outside of RSS (hugetlb):", &hugetlb);
	say_figure(sentence, "In swap:", &swap);
}

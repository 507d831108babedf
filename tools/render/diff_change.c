#include "tools/render/diff_change.h"

const char *
vmt_diff_change_write(char text[VMT_DIFF_CHANGE_BYTES], const struct vmt_diff_figure *figure)
{
	int64_t delta = vmt_diff_delta(figure);

	text[0] = delta < 0 ? '-' : '+';
	vmt_units_bytes(delta ? text + 1 : text, vmt_diff_distance(figure));
	return text;
}

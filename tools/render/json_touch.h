/*
 * json_touch.h: what a report's JSON says of who touched memory.
 *
 * The parts of a report's document (json.h) that come from sampled page faults.
 */
#ifndef VMT_JSON_TOUCH_H
#define VMT_JSON_TOUCH_H

#include "tools/model/report/report.h"
#include "tools/render/emitter.h"

/* The object "touch"; null where nobody asked for samples. */
void vmt_json_touch(struct vmt_emitter *emitter, const struct vmt_report *report);

/* The array "committed_by". */
void vmt_json_touch_committers(struct vmt_emitter *emitter, const struct vmt_report *report);

/* Of a site: "touched_by" and "unsampled_bytes"; nothing where there is no sample. */
void vmt_json_touch_site(struct vmt_emitter *emitter, const struct vmt_report *report,
			 const struct vmt_site *site);

#endif

/*
 * json_go.h: what a report's JSON says of Go.
 *
 * The parts of a report's document (json.h) that are about Go.
 */
#ifndef VMT_JSON_GO_H
#define VMT_JSON_GO_H

#include "tools/model/report/report.h"
#include "tools/render/emitter.h"

/* The object "go"; null where there is no Go runtime. */
void vmt_json_go(struct vmt_emitter *emitter, const struct vmt_report *report);

/* The array "go_sites". */
void vmt_json_go_sites(struct vmt_emitter *emitter, const struct vmt_report *report);

#endif

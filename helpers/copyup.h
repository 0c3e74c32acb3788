/* What an image has at the place of a volume goes into the volume, once in the volume's life. */
#ifndef ROOTLESS_COPYUP_H
#define ROOTLESS_COPYUP_H
#include "plan.h"
int do_copy_up(struct plan *plan, const struct record *r);
#endif

/* What a container of the OCI runtime's `create` does beside the plan: hooks, and waiting for `start`. */
#ifndef ROOTLESS_OCI_START_H
#define ROOTLESS_OCI_START_H
#include "launch/plan.h"

void gate_pid(int pid); /* who we are outside, for the hooks from now on */
#endif

/* The operations of a launch plan that take power away from the process. */
#include "launch/plan.h"

import type { App } from '../core/http/validation.ts'
import type { Services } from '../wiring.ts'
import { authController } from './auth.controller.ts'
import { healthController } from './health.controller.ts'
import { itemController } from './item.controller.ts'
import { userController } from './user.controller.ts'

/** Every route of the API. */
export const controllers: ((app: App, services: Services) => void)[] = [
  authController,
  userController,
  itemController,
  healthController,
]

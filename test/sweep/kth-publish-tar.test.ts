import { failEachCall } from '../helpers/sweep-tests.ts'

failEachCall('publish tar')

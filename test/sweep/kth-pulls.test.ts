import { failEachCall } from '../helpers/sweep-tests.ts'

failEachCall('pull to the store')
failEachCall('pull to a folder')

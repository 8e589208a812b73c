"""Every configuration key of Apache's brokers: what it becomes here, or why it means nothing, or why it is refused.

Apache's processes ignore unknown keys silently, so a mistyped key there runs for years. Here every key is one of four
kinds: mapped, known without meaning here, known and refused, unknown.

Source: RocketMQ 4.9 and 5.5, BrokerConfig, MessageStoreConfig, NettyServerConfig, NettyClientConfig and AuthConfig.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["mapped", "ignored", "refused"]


@dataclass(frozen=True)
class ApacheKey:
    """What one key means here.

    Attributes:
        kind: "refused" keys are refused unless their value is one of `harmless`.
        text: mapped: our name for it; ignored: why it has no meaning; refused: what to do instead.
        harmless: values, in lower case, under which a refused key says nothing that we do not do anyway.
    """

    kind: Kind
    text: str
    harmless: frozenset[str] = frozenset()


BROKER_KEYS: dict[str, ApacheKey] = {}


def _mapped(**names: str) -> None:
    for apache, ours in names.items():
        BROKER_KEYS[apache] = ApacheKey("mapped", ours)


def _ignored(why: str, names: str) -> None:
    for name in names.split():
        BROKER_KEYS[name] = ApacheKey("ignored", why)


def _refused(why: str, harmless: str, names: str) -> None:
    for name in names.split():
        BROKER_KEYS[name] = ApacheKey("refused", why, frozenset(harmless.split("|")))


_mapped(
    brokerClusterName="cluster",
    brokerName="group",
    brokerId="broker id; in a Raft group it follows from the role",
    brokerRole="mode",
    brokerIP1="advertise",
    namesrvAddr="namesrv",
    listenPort="port, fast port (two below)",
    bindAddress="listen",
    enableDLegerCommitLog='mode = "raft"',
    dLegerGroup="group",
    dLegerPeers="members",
    dLegerSelfId="member",
    storePathRootDir="data",
    storePathCommitLog="log folder, below data",
    storePathDLedgerCommitLog="log folder, below data",
    mappedFileSizeCommitLog="segment_size",
    maxMessageSize="max_message",
    flushDiskType="flush",
    autoCreateTopicEnable="auto_create_topic",
    defaultTopicQueueNums="default_topic_queues",
    autoCreateSubscriptionGroup="auto_create_group",
    maxTopicNums="max_topics",
    maxSubscriptionGroupNums="max_groups",
    slaveReadEnable="slave_read",
)

_refused(
    "access control is not there yet, and it is never dropped silently; remove the key and keep the node on loopback"
    " or a trusted network (--insecure)",
    "false",
    "aclEnable authenticationEnabled authorizationEnabled migrateAuthFromV1Enabled",
)
_refused(
    "a group has one consensus here, not two: remove enableControllerMode and controllerAddr, and name the members with"
    " enableDLegerCommitLog=true, dLegerGroup, dLegerPeers and dLegerSelfId",
    "false",
    "enableControllerMode",
)
_refused(
    "read-only and write-only brokers are not there yet; remove the key or set it to 6",
    "6",
    "brokerPermission",
)
_refused(
    "it would show messages that may still be taken back; remove the key",
    "false",
    "readUnCommitted",
)
_refused(
    "slaves that act as master are not there; a Raft group elects a master instead; remove the key",
    "false",
    "enableSlaveActingMaster enableRemoteEscape",
)
_refused(
    "a delayed opening for sends is not there; remove the key",
    "0",
    "startAcceptSendRequestTimeStamp",
)
_refused(
    "stores of Java brokers are not read; remove the key and move the messages with a client",
    "",
    "readOnlyCommitLogStorePaths",
)
_refused(
    "brokers run one in a process here; remove the key",
    "false",
    "isInBrokerContainer",
)

_ignored(
    "accounts and caches of access control, which is off",
    """authenticationProvider authenticationMetadataProvider authenticationStrategy authenticationWhitelist
    initAuthenticationUser innerClientAuthenticationCredentials authorizationProvider
    authorizationMetadataProvider authorizationStrategy authorizationWhitelist userCacheMaxNum
    userCacheExpiredSecond userCacheRefreshSecond aclCacheMaxNum aclCacheExpiredSecond aclCacheRefreshSecond
    statefulAuthenticationCacheMaxNum statefulAuthenticationCacheExpiredSecond statefulAuthorizationCacheMaxNum
    statefulAuthorizationCacheExpiredSecond authConfigPath""",
)
_ignored(
    "threads and queues are sized by the engine, whose limits have names of their own",
    """sendMessageThreadPoolNums putMessageFutureThreadPoolNums pullMessageThreadPoolNums
    litePullMessageThreadPoolNums processReplyMessageThreadPoolNums queryMessageThreadPoolNums
    adminBrokerThreadPoolNums ackMessageThreadPoolNums clientManageThreadPoolNums consumerManageThreadPoolNums
    heartbeatThreadPoolNums endTransactionThreadPoolNums loadBalanceProcessorThreadPoolNums
    putThreadPoolQueueCapacity sendThreadPoolQueueCapacity replyThreadPoolQueueCapacity
    pullThreadPoolQueueCapacity litePullThreadPoolQueueCapacity ackThreadPoolQueueCapacity
    endTransactionPoolQueueCapacity queryThreadPoolQueueCapacity heartbeatThreadPoolQueueCapacity
    clientManagerThreadPoolQueueCapacity consumerManagerThreadPoolQueueCapacity adminBrokerThreadPoolQueueCapacity
    loadBalanceThreadPoolQueueCapacity brokerFastFailureEnable waitTimeMillsInSendQueue waitTimeMillsInPullQueue
    waitTimeMillsInLitePullQueue waitTimeMillsInHeartbeatQueue waitTimeMillsInTransactionQueue
    waitTimeMillsInAckQueue waitTimeMillsInAdminBrokerQueue asyncSendEnable maxAsyncPutMessageRequests
    litePullMessageEnable disableCallbackExecutor""",
)
_ignored(
    "sockets are set up by the engine",
    """serverWorkerThreads serverSelectorThreads serverCallbackExecutorThreads serverOnewaySemaphoreValue
    serverAsyncSemaphoreValue serverChannelMaxIdleTimeSeconds serverSocketSndBufSize serverSocketRcvBufSize
    serverSocketBacklog serverNettyWorkerGroupEnable serverPooledByteBufAllocatorEnable useEpollNativeSelector
    writeBufferHighWaterMark writeBufferLowWaterMark clientWorkerThreads clientCallbackExecutorThreads
    clientOnewaySemaphoreValue clientAsyncSemaphoreValue connectTimeoutMillis channelNotActiveInterval
    clientChannelMaxIdleTimeSeconds clientSocketSndBufSize clientSocketRcvBufSize
    clientPooledByteBufAllocatorEnable clientCloseSocketIfTimeout useTLS disableNettyWorkerGroup
    enableReconnectForGoAway enableFastChannelEventProcess enableShutdownGracefully shutdownWaitTimeSeconds""",
)
_ignored(
    "the broker registers at once on every change and asks each NameServer every 2 s",
    """registerNameServerPeriod registerBrokerTimeoutMills forceRegister compressedRegister
    enableSingleTopicRegister enableSplitRegistration splitRegistrationSize brokerHeartbeatInterval
    brokerNotActiveTimeoutMillis fetchNamesrvAddrByAddressServer fetchNameSrvAddrByDnsLookup
    fetchNamesrvAddrInterval compatibleWithOldNameSrv updateNameServerAddrPeriod""",
)
_ignored(
    "the Raft log has its own files, sizes and checksums; page cache and memory maps are not tuned by hand",
    """mappedFileSizeConsumeQueue mappedFileSizeConsumeQueueExt mapperFileSizeBatchConsumeQueue
    enableConsumeQueueExt bitMapLengthConsumeQueueExt storePathEpochFile storePathBrokerIdentity storeType
    configStorageType maxTopicLength autoMessageVersionOnTopicLen syncFlushTimeout flushCommitLogTimed
    flushIntervalCommitLog flushCommitLogLeastPages flushCommitLogThoroughInterval commitIntervalCommitLog
    commitCommitLogLeastPages commitCommitLogThoroughInterval flushIntervalConsumeQueue
    flushConsumeQueueLeastPages flushConsumeQueueThoroughInterval transientStorePoolEnable transientStorePoolSize
    fastFailIfNoBufferInStorePool useReentrantLockWhenPutMessage useABSLock topicQueueLockNum
    osPageCacheBusyTimeOutMills putMessageTimeout warmMapedFileEnable flushLeastPagesWhenWarmMapedFile
    duplicationEnable enabledAppendPropCRC forceVerifyPropCRC wakeCommitWhenPutMessage wakeFlushWhenPutMessage
    checkCRCOnRecover checkCommitLogOffsetOnRecover commitLogRecoverMaxNum maxRecoveryCommitlogFiles
    enableAcceleratedRecovery enableRunningFlagsInFlush enableLogConsumeQueueRepeatedlyBuildWhenRecover
    mappedFileSwapEnable commitLogForceSwapMapInterval commitLogSwapMapInterval commitLogSwapMapReserveFileNum
    logicQueueSwapMapInterval logicQueueSwapMapReserveFileNum cleanSwapedMapInterval dataReadAheadEnable
    debugLockEnable spinLockCollisionRetreatOptimalDegree dispatchCqThreads dispatchCqCacheNum
    dispatchFromSenderThread enableAsyncReput enableBuildConsumeQueueConcurrently
    batchDispatchRequestThreadPoolNums recheckReputOffsetFromCq correctLogicMinOffsetSleepInterval
    correctLogicMinOffsetForceInterval maxConsumeQueueScan configManagerVersion""",
)
_ignored(
    "consume queues are files of the engine; RocksDB is not used",
    """rocksdbCQDoubleWriteEnable enableRocksDBLog rocksdbFlushWalFrequency memTableFlushIntervalMs
    cleanRocksDBDirtyCQIntervalMin statRocksDBCQIntervalSec bottomMostCompressionTypeForConsumeQueueStore
    rocksdbCompressionType transRocksDBEnable transactionCheckRocksdbMaxThreads timerRocksDBEnable
    timerRocksDBPrecisionMs timerRocksDBTimeExpiredMaxTps combineCQPreferCQType combineAssignOffsetCQType
    combineCQEnableCheckSelf combineCQLoadingCQTypes combineCQMaxExtraSearchCommitLogFiles
    combineCQUseRocksdbForLmq""",
)
_ignored(
    "reading is bounded by the engine",
    """maxTransferBytesOnMessageInMemory maxTransferCountOnMessageInMemory maxTransferBytesOnMessageInDisk
    maxTransferCountOnMessageInDisk accessMessageInMemoryMaxRatio travelCqFileNumWhenGetMessage
    pullBatchMaxMessageCount diskFallRecorded offsetCheckInSlave transferMsgByHeap longPollingEnable
    shortPollingTimeMills notifyConsumerIdsChangedEnable flushConsumerOffsetInterval
    flushConsumerOffsetHistoryInterval disableConsumeIfConsumerReadSlowly consumerFallbehindThreshold
    channelExpiredTimeout subscriptionExpiredTimeout enableBroadcastOffsetStore transferOffsetByBroadcast
    broadcastOffsetExpireSecond broadcastOffsetExpireMaxSecond useServerSideResetOffset coldDataFlowControlEnable
    coldDataScanEnable accessMessageInMemoryHotRatio cgColdReadThreshold globalColdReadThreshold
    coldCtrStrategyEnable timerColdDataCheckIntervalMs enableNetWorkFlowControl consumerOffsetUpdateVersionStep
    delayOffsetUpdateVersionStep enableCleanExpiredOffset""",
)
_ignored(
    "system topics and groups always exist; permission bits are those of the topic",
    """clusterTopicEnable brokerTopicEnable traceTopicEnable msgTraceTopicName enableCreateSysGroup
    validateSystemTopicWhenUpdateTopic""",
)
_ignored(
    "queries by key are not there yet",
    "messageIndexEnable messageIndexSafe maxHashSlotNum maxIndexNum maxMsgsNumBatch defaultQueryMaxNum",
)
_ignored(
    "filters by SQL92 are not there yet; such subscriptions are refused",
    """enablePropertyFilter enableCalcFilterBitMap filterSupportRetry expectConsumerNumUseFilter
    maxErrorRateOfBloomFilter maxFilterMessageSize filterDataCleanTimeSpan""",
)
_ignored(
    "transactions are not there yet; such sends are refused",
    """rejectTransactionMessage transactionTimeOut transactionCheckMax transactionCheckInterval
    transactionMetricFlushInterval transactionOpMsgMaxSize transactionOpBatchInterval""",
)
_ignored(
    "delayed messages are not there yet",
    """messageDelayLevel flushDelayOffsetInterval enableScheduleAsyncDeliver scheduleAsyncDeliverMaxPendingLimit
    scheduleAsyncDeliverMaxResendNum2Blocked enableScheduleMessageStats timerWheelEnable timerPrecisionMs
    timerMaxDelaySec timerRollWindowSlot timerFlushIntervalMs timerGetMessageThreadNum timerPutMessageThreadNum
    timerCongestNumEachSlot timerCheckMetricsWhen mappedFileSizeTimerLog timerEnableCheckMetrics
    timerInterceptDelayLevel timerEnableDisruptor timerSkipUnknownError timerWarmEnable timerStopDequeue
    timerStopEnqueue timerEnableRetryUntilSuccess timerRecallToTimelineEnable timerWheelSnapshotFlush
    appendTopicForTimerDeleteKey recallMessageEnable allowRecallWhenBrokerNotWriteable""",
)
_ignored(
    "retention is not there yet: nothing is deleted",
    """fileReservedTime deleteWhen diskMaxUsedSpaceRatio diskSpaceCleanForciblyRatio diskSpaceWarningLevelRatio
    cleanResourceInterval deleteCommitLogFilesInterval deleteConsumeQueueFilesInterval deleteFileBatchMax
    maxBatchDeleteFilesNum destroyMapedFileIntervalForcibly redeleteHangedFileInterval replicasPerDiskPartition
    logicalDiskSpaceCleanForciblyThreshold cleanOfflineBrokerInterval""",
)
_ignored(
    "not taken over: unexpired messages are never deleted on a full disk, writes are refused first",
    "cleanFileForciblyEnable",
)
_ignored(
    "Raft members replicate over the ports in dLegerPeers; there is no HA stream",
    """haListenPort brokerIP2 haMasterAddress haSendHeartbeatInterval haHousekeepingInterval haTransferBatchSize
    haSlaveFallbehindMax haMaxGapNotInSync slaveTimeout totalReplicas inSyncReplicas minInSyncReplicas
    enableAutoInSyncReplicas allAckInSyncStateSet haFlowControlEnable maxHaTransferByteInSecond
    haMaxTimeSlaveNotCatchup syncMasterFlushOffsetWhenStartup syncFromLastFile asyncLearner skipPreOnline
    syncBrokerMemberGroupPeriod lockInStrictMode maxSlaveResendLength enableBatchPush enableSplitMetadata
    splitMetadataSize""",
)
_ignored(
    "leadership is not pulled to one member; move it with `ternmq cluster transfer-leader`",
    "preferredLeaderId",
)
_ignored(
    "there is no controller",
    """controllerAddr fetchControllerAddrByDnsLookup syncBrokerMetadataPeriod checkSyncStateSetPeriod
    syncControllerMetadataPeriod controllerHeartBeatTimeoutMills brokerElectionPriority""",
)
_ignored(
    "metrics are not there yet",
    """metricsExporterType metricsPromExporterPort metricsPromExporterHost metricsGrpcExporterTarget
    metricsGrpcExporterHeader metricGrpcExporterTimeOutInMills metricGrpcExporterIntervalInMills
    metricLoggingExporterIntervalInMills metricsLabel metricsInDelta metricsOtelCardinalityLimit
    enableConnectionMetrics enableRemotingMetrics enableMessageStoreMetrics enableTransactionMetrics
    enablePopMetrics enableRequestMetrics enableStatsMetrics enableLagAndDlqMetrics enableDetailStat
    autoDeleteUnusedStats maxStatsIdleTimeInMinutes accountStatsEnable accountStatsPrintZeroValues
    commercialEnable commercialTimerCount commercialTransCount commercialBigCount commercialBaseCount
    commercialSizePerMsg estimateAccumulation isolateLogEnable""",
)
_ignored(
    "pop consumption is not there yet",
    """defaultMessageRequestMode defaultPopShareQueueNum popPollingSize popPollingMapSize maxPopPollingSize
    popCkStayBufferTime popCkStayBufferTimeOut popCkMaxBufferSize popCkOffsetMaxQueueSize enablePopBatchAck
    enablePopBufferMerge enablePopLog enableLitePopLog enablePopMessageThreshold popInflightMessageThreshold
    popFromRetryProbability popResponseReturnActualRetryTopic popReviveConcurrency popReviveMaxReturnSizePerRead
    popReviveMaxAttemptTimes popConsumerFSServiceInit popConsumerKVServiceEnable popConsumerKVServiceInit
    popConsumerKVServiceLog popReviveRetryIntervals popConsumerMaxInflight retrieveMessageFromPopRetryTopicV1
    enableRetryTopicV2 reviveAckWaitMs reviveInterval reviveMaxSlow reviveQueueNum reviveScanTime
    initPopOffsetByCheckMsgInMem enableNotifyAfterPopOrderLockRelease enableNotifyBeforePopCalculateLag
    appendAckAsync appendCkAsync enableSkipLongAwaitingAck loadBalancePollNameServerInterval
    serverLoadBalancerEnable""",
)
_ignored(
    "light queues, batch queues, compaction and static topics are not there",
    """enableLmq enableMultiDispatch maxLmqConsumeQueueNum enableLmqQuota enableLmqStats enableLiteEventMode
    liteEventFullDispatchDelayTime liteSubscriptionCheckTimeoutMills liteLagLatencyCollectEnable
    liteLagLatencyMetricsEnable enableCompaction compactionScheduleInternal compactionThreadNum
    compactionMappedFileSize compactionCqMappedFileSize maxOffsetMapSize enableMixedMessageType""",
)
_ignored(
    "a setting of the Java process",
    """rocketmqHome configBlackList messageStorePlugIn regionId traceOn forwardTimeout storeReplyMessageEnable
    enableRegisterProducer disappearTimeAfterStart clearRetryTopicWhenDeleteTopic highSpeedMode
    rejectPullConsumerEnable""",
)
_ignored(
    "a key of the NameServer, not of a broker",
    """kvConfigPath configStorePath orderMessageEnable scanNotActiveBrokerInterval supportActingMaster
    enableControllerInNamesrv returnOrderTopicConfigToBroker deleteTopicWithBrokerRegistration""",
)

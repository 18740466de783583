"""The bucket of attachments: private, encrypted, by TLS only, scanned, and read by nobody before it is clean."""

import json
from typing import Any

type Document = dict[str, Any]

OBJECTS = {"Fn::Sub": "${FilesBucket.Arn}/uploads/*"}
SCANNER = {"Fn::GetAtt": ["FilesScanRole", "Arn"]}


def denied(transformed: Document, sid: str) -> Document:
    """One statement of the bucket's policy, which denies something to everybody."""
    statements = transformed["FilesBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (found,) = [each for each in statements if each["Sid"] == sid]
    assert (found["Effect"], found["Principal"]) == ("Deny", "*")
    return dict(found)


def test_the_bucket_is_private_and_encrypted_and_outlives_its_stack(transformed: Document) -> None:
    bucket = transformed["FilesBucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert "VersioningConfiguration" not in properties  # a version would outlive an erasure
    assert "AccessControl" not in properties


def test_only_tls_reaches_the_bucket(transformed: Document) -> None:
    statement = denied(transformed, "TlsOnly")
    assert statement["Action"] == "s3:*"
    assert statement["Resource"] == [{"Fn::GetAtt": ["FilesBucket", "Arn"]}, {"Fn::Sub": "${FilesBucket.Arn}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nobody_but_the_scanner_reads_what_is_not_tagged_clean_or_tags(transformed: Document) -> None:
    read, tag = denied(transformed, "NoReadUnlessClean"), denied(transformed, "OnlyGuardDutyTags")
    assert read["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert read["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": SCANNER},
        "StringNotEquals": {"s3:ExistingObjectTag/GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"},
    }
    assert tag["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": SCANNER}}
    assert transformed["FilesScan"]["Properties"]["Actions"] == {"Tagging": {"Status": "ENABLED"}}


def test_the_scanner_is_guardduty_and_reaches_this_bucket_only(transformed: Document) -> None:
    role = transformed["FilesScanRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "malware-protection-plan.guardduty.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    (policy,) = role["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]:
        place = json.dumps(statement["Resource"])
        assert "FilesBucket" in place or "rule/DO-NOT-DELETE-AmazonGuardDutyMalwareProtectionS3*" in place


def test_what_is_uploaded_is_what_is_scanned_and_heard_of(transformed: Document, rules: Document) -> None:
    plan = transformed["FilesScan"]["Properties"]
    assert plan["ProtectedResource"]["S3Bucket"] == {
        "BucketName": {"Ref": "FilesBucket"},
        "ObjectPrefixes": ["uploads/"],
    }
    notified = transformed["FilesBucket"]["Properties"]["NotificationConfiguration"]
    assert notified == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    rule = rules["ScansRule"]
    assert "EventBusName" not in rule  # both speak on the account's default bus only
    assert rule["EventPattern"]["resources"] == [
        {"Fn::GetAtt": ["FilesBucket", "Arn"]},
        {"Fn::GetAtt": ["FilesScan", "Arn"]},
    ]


def test_a_function_reaches_uploads_only_and_none_lists_them(functions: Document, transformed: Document) -> None:
    reaching = {}
    for name, function in functions.items():
        for policy in transformed[function["Role"]["Fn::GetAtt"][0]]["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                if any(action.startswith("s3:") for action in actions):
                    assert statement["Resource"] == OBJECTS
                    reaching[name] = sorted(actions)
    assert reaching == {
        "AttachmentsFunction": ["s3:GetObject", "s3:PutObject"],
        "ScansFunction": ["s3:DeleteObject"],
    }


def test_the_bucket_forgets_later_than_the_sweep(template: Document, transformed: Document) -> None:
    rules = {each["Id"]: each for each in transformed["FilesBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]}
    assert rules["forgotten-files"]["ExpirationInDays"] == {"Ref": "FilesLifeDays"}
    assert template["Parameters"]["FilesLifeDays"]["Default"] > 90 + 30 + 1  # retention, and a session far ahead
    assert all(rule["Status"] == "Enabled" for rule in rules.values())


def test_a_browser_on_our_pages_may_upload_and_read(functions: Document, transformed: Document) -> None:
    (rule,) = transformed["FilesBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedMethods"] == ["GET", "POST"]
    (origin,) = rule["AllowedOrigins"]["Fn::If"][2]
    assert origin == {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, {"Ref": "ConsoleUrl"}]}
    console = functions["ConsoleFunction"]["Environment"]["Variables"]
    address = {"Fn::Sub": "https://${FilesBucket}.s3.${AWS::Region}.${AWS::URLSuffix}"}
    assert console["CONSOLE_PICTURES_FROM"] == address
    assert address in console["CONSOLE_CONNECTS_TO"]["Fn::Join"][1]
